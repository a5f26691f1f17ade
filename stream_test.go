package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

const (
	unit = 64 << 10 // and half of it is what a memStore reads at once
	half = unit / 2
)

// A source is a stream that a test writes.
type source struct {
	t *testing.T
	*io.PipeWriter
	p    []byte // all of it
	sent int
}

// stream begins the upload of a stream of so many bytes to an unordered store.
func stream(t *testing.T, s *memStore, bytes int) (*source, *streamflow.Upload) {
	t.Helper()
	r, w := io.Pipe()
	m := manager(t, s, streamflow.Options{ChunkBytes: unit, Streams: 2})
	u, err := m.Upload(t.Context(), streamflow.Stream("data.bin", r))
	if err != nil {
		t.Fatal(err)
	}
	return &source{t, w, content(bytes), 0}, u
}

// send writes the next bytes, and waits until nothing moves any more.
func (s *source) send(bytes int) {
	s.t.Helper()
	if _, err := s.Write(s.p[s.sent:][:bytes]); err != nil {
		s.t.Fatal(err)
	}
	s.sent += bytes
	synctest.Wait()
}

func handed(t *testing.T, u *streamflow.Upload, want int64) {
	t.Helper()
	if got := u.State().Bytes; got != want {
		t.Errorf("%d bytes are handed to the destination, want %d", got, want)
	}
}

func TestUnitIsSentWhileItIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		rest   []int           // of the stream, after one unit and a half
		pauses []time.Duration // before each
		writes []int64
	}{
		"all at once":        {[]int{unit}, []time.Duration{0}, []int64{unit, unit, unit, half}},
		"in small steps":     {[]int{half / 2, half / 2, half / 4}, []time.Duration{time.Second / 2, time.Second / 2, 0}, []int64{unit, unit, half / 4}},
		"ends in the unit":   {[]int{half / 2}, []time.Duration{0}, []int64{unit, unit, half + half/2}},
		"ends at once":       {nil, nil, []int64{unit, unit, half}},
		"takes its time":     {[]int{half, half}, []time.Duration{time.Minute, 0}, []int64{unit, unit, unit, unit, half}},
		"ends after a pause": {[]int{half / 2}, []time.Duration{time.Minute}, []int64{unit, unit, half + half/2}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemStore(true)
				src, u := stream(t, s, 3*unit)
				src.send(unit + half)
				handed(t, u, unit+half)
				for i, n := range c.rest {
					if c.pauses[i] > 10*time.Second {
						time.Sleep(10 * time.Second)
						handed(t, u, unit) // the connection isn't kept waiting
					}
					time.Sleep(c.pauses[i])
					src.send(n)
				}
				_ = src.Close()
				if r := mustWait(t, u); r.Retries != 0 || r.Bytes != int64(src.sent) {
					t.Errorf("result %+v", r)
				}
				if got, _ := s.object("data.bin"); !bytes.Equal(got, src.p[:src.sent]) {
					t.Errorf("%d bytes arrived, not the %d that were sent", len(got), src.sent)
				}
				if !slices.Equal(s.writes, c.writes) {
					t.Errorf("writes of %v bytes, want %v", s.writes, c.writes)
				}
			})
		})
	}
}

func TestSlowUnitIsSentWhenItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(true)
		src, u := stream(t, s, 2*unit)
		src.send(unit + half/2)
		time.Sleep(time.Minute)
		src.send(half)
		handed(t, u, unit)
		src.send(half / 2)
		handed(t, u, 2*unit)
		_ = src.Close()
		mustWait(t, u)
	})
}

func TestSourceFailsInAUnitThatIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, u := stream(t, newMemStore(true), 2*unit)
		src.send(unit + half)
		_ = src.CloseWithError(errBroken)
		_, err := wait(t, u)
		if failure, ok := errors.AsType[*streamflow.SourceError](err); !ok || !errors.Is(failure, errBroken) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestPauseWhileTheSourceIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(true)
		src, u := stream(t, s, 2*unit)
		src.send(unit + half)
		u.Pause()
		synctest.Wait()
		handed(t, u, unit)
		u.Resume()
		src.send(half)
		_ = src.Close()
		mustWait(t, u)
		if got, _ := s.object("data.bin"); !bytes.Equal(got, src.p) {
			t.Errorf("%d bytes arrived, not what was sent", len(got))
		}
	})
}

// A unit that failed is sent again while the source of another one is silent.
func TestRetryDoesNotWaitForTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(true)
		fail := make(chan struct{})
		var failed atomic.Bool
		s.before = func(_ context.Context, call string) error {
			if call == "Write" && !failed.Swap(true) {
				<-fail
				return store.Transient(errBroken)
			}
			return nil
		}
		src, u := stream(t, s, 2*unit)
		src.send(unit + half)
		close(fail)
		time.Sleep(time.Minute)
		if state := u.State(); state.Retries != 1 || state.Bytes != unit {
			t.Errorf("state %+v", state)
		}
		src.send(half)
		_ = src.Close()
		mustWait(t, u)
	})
}
