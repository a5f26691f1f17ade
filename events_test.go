package streamflow_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
)

// slowly makes a store take so long for each read of a Write.
func slowly(s *memStore, each time.Duration) {
	s.before = func(ctx context.Context, call string) error {
		if call != "Read" {
			return nil
		}
		select {
		case <-time.After(each):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func TestEvents(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		synctest.Test(t, func(t *testing.T) {
			s.readBytes = 1000
			slowly(s, 20*time.Millisecond)
			m := manager(t, s, streamflow.Options{ChunkBytes: 10_000, Streams: 1})
			sub := m.Subscribe()
			defer sub.Close()
			u := begin(t, m, content(200_000), stream)
			start := time.Now()
			var progress, performance int
			var statuses []streamflow.Status
			var last streamflow.Progress
			for e := range sub.Events(t.Context()) {
				switch e := e.(type) {
				case streamflow.Progress:
					progress++
					last = e
				case streamflow.Performance:
					performance++
				case streamflow.StateChange:
					statuses = append(statuses, e.State.Status)
				}
				if n := len(statuses); n > 0 && statuses[n-1] == streamflow.Finished {
					break
				}
			}
			seconds := int(time.Since(start).Seconds())
			if fmt.Sprint(statuses) != "[uploading finished]" {
				t.Errorf("statuses %v", statuses)
			}
			if last.Upload != u || last.BytesUploaded != 200_000 || last.Percentage != 100 || last.Remaining != 0 {
				t.Errorf("last progress %+v", last)
			}
			if last.Speed < 40_000 || last.Speed > 60_000 {
				t.Errorf("speed %v, not about 50,000", last.Speed)
			}
			if progress < 9*seconds || progress > 10*seconds+11 || performance < seconds || performance > seconds+1 {
				t.Errorf("%d progress and %d performance events in %d s", progress, performance, seconds)
			}
		})
	})
}

// A destination that is away has no speed, and nobody knows how long it lasts.
func TestNoTimeLeftWhileStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(false)
		s.readBytes = 1000
		reads := 0
		s.before = func(ctx context.Context, call string) error {
			if call != "Read" {
				return nil
			}
			wait := 20 * time.Millisecond
			if reads++; reads == 100 {
				wait = 30 * time.Second
			}
			select {
			case <-time.After(wait):
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		m := manager(t, s, streamflow.Options{ChunkBytes: 200_000, Streams: 1})
		sub := m.Subscribe()
		defer sub.Close()
		begin(t, m, content(200_000), false)
		var stalled time.Time
		longest := time.Duration(0)
		for e := range sub.Events(t.Context()) {
			if e, ok := e.(streamflow.StateChange); ok && e.State.Status == streamflow.Finished {
				break
			}
			p, ok := e.(streamflow.Progress)
			if !ok {
				continue
			}
			longest = max(longest, p.Remaining)
			if p.Speed == 0 && p.BytesUploaded >= 99_000 && stalled.IsZero() {
				stalled = time.Now()
			}
			if !stalled.IsZero() && time.Since(stalled) < 20*time.Second && p.Remaining != -1 {
				t.Fatalf("%s after the speed was 0: %s left", time.Since(stalled), p.Remaining)
			}
		}
		if stalled.IsZero() {
			t.Error("30 s without a byte, and never was the speed 0")
		}
		if longest > time.Minute {
			t.Errorf("%s left were told", longest)
		}
	})
}

// A subscriber that doesn't read stops nothing, and can tell what it missed.
func TestDeadSubscriber(t *testing.T) {
	m := manager(t, newMemStore(false), streamflow.Options{})
	sub := m.Subscribe()
	for range 10 {
		mustWait(t, begin(t, m, content(10), true))
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	var changes int
	var count uint64
	for e := range sub.Events(t.Context()) {
		if e, ok := e.(streamflow.StateChange); ok {
			changes++
			count = e.Count
			if e.State.Status != streamflow.Finished {
				t.Errorf("got %+v", e)
			}
		}
	}
	if changes != 10 || count != 20 {
		t.Errorf("%d changes, the last is number %d", changes, count)
	}
}

// press fills the budget up to a fraction and returns how to let go.
func press(t *testing.T, mem *memory.Manager, fraction float64) (release func()) {
	t.Helper()
	b, err := mem.TryAcquire("test", int(fraction*float64(mem.Limit())))
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := b.Release(); err != nil {
			t.Error(err)
		}
	}
}

func TestNarrowsAtWarning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(false)
		mem := budget(t, 16<<20)
		m := manager(t, s, streamflow.Options{ChunkBytes: 1 << 20, Memory: mem})
		release := press(t, mem, 0.75)
		mustWait(t, begin(t, m, content(4<<20), true))
		if n := len(s.writes); n < 10 || s.writes[5] != 64<<10 {
			t.Errorf("writes %v", s.writes)
		}
		release()
		s.writes = nil
		mustWait(t, begin(t, m, content(4<<20), true))
		if len(s.writes) != 4 {
			t.Errorf("after the pressure: writes %v", s.writes)
		}
	})
}

func TestCriticalAdmitsNothingUntilItFalls(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		synctest.Test(t, func(t *testing.T) {
			mem := budget(t, 16<<20)
			m := manager(t, s, streamflow.Options{Memory: mem})
			release := press(t, mem, 0.93)
			u := begin(t, m, content(100), stream)
			time.Sleep(20 * time.Second)
			if got := u.State(); got.Status != streamflow.Waiting || got.Bytes != 0 {
				t.Errorf("state %+v", got)
			}
			release()
			mustWait(t, u)
		})
	})
}

func TestYoungestGivesUpAtCritical(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(false)
		mem := budget(t, 16<<20)
		m := manager(t, s, streamflow.Options{Memory: mem})
		release := press(t, mem, 0.93)
		old, young := begin(t, m, content(100), false), begin(t, m, content(100), true)
		start := time.Now()
		_, err := wait(t, young)
		if !errors.Is(err, streamflow.ErrPressure) || streamflow.Code(err) != streamflow.CodeMemory {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != 30*time.Second {
			t.Errorf("gave up after %v", took)
		}
		time.Sleep(10 * time.Second)
		release()
		mustWait(t, old)
	})
}

func TestMemoryEventsArePassedOn(t *testing.T) {
	mem := budget(t, 16<<20)
	m := manager(t, newMemStore(false), streamflow.Options{Memory: mem})
	sub := m.Subscribe()
	defer sub.Close()
	defer press(t, mem, 0.75)()
	for e := range sub.Events(t.Context()) {
		if e, ok := e.(streamflow.Memory); ok {
			if change := e.Event.(memory.LevelChange); change.To != memory.Warning {
				t.Errorf("got %+v", change)
			}
			return
		}
	}
}
