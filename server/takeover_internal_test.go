package server

import (
	"io"
	"testing"
	"time"
)

// deadlines is a body that counts how often it is given one.
type deadlines struct {
	io.Reader
	set int
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	d.set++
	return nil
}

// Once a turn is over, its connection may have another request, which whoever
// still holds the turn must leave alone.
func TestTurnThatIsOver(t *testing.T) {
	for name, late := range map[string]func(*turn){
		"taken over":   (*turn).yield,
		"ended":        func(t *turn) { t.end(errShutdown) },
		"read on":      func(t *turn) { _ = t.extend(time.Second) },
		"left to rest": (*turn).rest,
	} {
		t.Run(name, func(t *testing.T) {
			s, body := &Server{turns: make(map[string]*turn)}, &deadlines{}
			turn, done, err := s.begin(t.Context(), "id", body)
			if err != nil {
				t.Fatal(err)
			}
			done()
			late(turn)
			if body.set != 0 {
				t.Errorf("its connection got %d deadlines", body.set)
			}
		})
	}
}
