package memory

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// logInterval is how often a level of a manager is logged at most.
const logInterval = 10 * time.Second

// An Event is a LevelChange or a Leak.
type Event interface{ event() }

// A LevelChange says that a manager has entered a level. Entering Warning from
// Normal and Critical from Warning are the warning and the critical event.
type LevelChange struct {
	Manager   string
	From, To  Level     // always neighbours
	Usage     float64   // bytes in use as a fraction of the limit
	Threshold float64   // the mark that was crossed
	Used      int64     // bytes in use, idle ones not counted
	Limit     int64     // bytes
	Count     uint64    // how often the level To has been entered so far
	Time      time.Time // to a tenth of a second
}

// A Leak says that a resource became unreachable without having been
// released. Its bytes are back already.
type Leak struct {
	Manager  string
	Kind     Kind
	Size     int64 // bytes
	Age      time.Duration
	Metadata map[string]any
	Stack    string // where it was allocated, if that was sampled, else ""
	Count    uint64 // how many resources the manager has lost so far
}

func (LevelChange) event() {}
func (Leak) event()        {}

// A Subscription gets the events of a manager. Nothing that its owner does, or
// fails to do, holds the manager up: of the events that were not yet read, the
// last Leak and the last LevelChange of each manager to each level are kept,
// and their Counts say how many there were.
type Subscription struct {
	m    *Manager
	wake chan struct{} // has one element while there is something to read

	mu      sync.Mutex
	pending []Event // oldest first, at most one of each sort
	ended   bool
}

// Subscribe returns a subscription to the level changes of m and the managers
// above it, as Level counts them, and to the leaks of m and the managers below
// it. Close it when it is no longer read.
func (m *Manager) Subscribe() *Subscription {
	s := &Subscription{m: m, wake: make(chan struct{}, 1)}
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	if m.closed {
		s.end()
		return s
	}
	m.subs = append(m.subs, s)
	return s
}

// Events returns the events as they come, until ctx ends, the subscription or
// the manager is closed, or the loop is left. It may be called again.
func (s *Subscription) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for {
			e, ended := s.take()
			if e != nil {
				if !yield(e) {
					return
				}
				continue
			}
			if ended {
				return
			}
			select {
			case <-s.wake:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Close ends the subscription.
func (s *Subscription) Close() {
	t := s.m.tree
	t.mu.Lock()
	s.m.subs = slices.DeleteFunc(s.m.subs, func(other *Subscription) bool { return other == s })
	t.mu.Unlock()
	s.end()
}

func (s *Subscription) take() (e Event, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil, s.ended
	}
	e = s.pending[0]
	s.pending = slices.Delete(s.pending, 0, 1)
	return e, false
}

// put adds an event in place of an older one of its sort.
func (s *Subscription) put(e Event) {
	s.mu.Lock()
	s.pending = append(slices.DeleteFunc(s.pending, func(other Event) bool { return sameSort(e, other) }), e)
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func sameSort(a, b Event) bool {
	la, aIsLevel := a.(LevelChange)
	lb, bIsLevel := b.(LevelChange)
	return aIsLevel == bIsLevel && la.To == lb.To && la.Manager == lb.Manager
}

// publish tells the subscribers of m and of the managers below it, and the log.
func (m *Manager) publish(e LevelChange) {
	m.eachManager(func(m *Manager) {
		for _, s := range m.subs {
			s.put(e)
		}
	})
	if !m.logsNow(e.To) {
		return
	}
	severity := slog.LevelInfo
	if e.To > e.From && m.parent == nil { // parts of a budget may well be full
		severity = slog.LevelWarn
	}
	m.tree.log(severity, "memory level changed", slog.String("manager", m.name), slog.String("from", e.From.String()), slog.String("to", e.To.String()),
		slog.Float64("usage", e.Usage), slog.Int64("used", e.Used), slog.Int64("limit", e.Limit), slog.Uint64("count", e.Count))
}

// logsNow says whether a level that m enters is to be logged: work whose parts take
// much of the budget enters one with each of them.
func (m *Manager) logsNow(level Level) bool {
	now, last := time.Duration(m.tree.clock.now()), &m.logged[level]
	if *last > 0 && now-*last < logInterval {
		return false
	}
	*last = max(now, 1)
	return true
}

// publishLeak tells the subscribers of m and of the managers above it.
func (m *Manager) publishLeak(e Leak) {
	for a := m; a != nil; a = a.parent {
		for _, s := range a.subs {
			s.put(e)
		}
	}
	m.tree.log(slog.LevelWarn, "memory resource lost", slog.String("manager", m.name), slog.String("kind", string(e.Kind)), slog.Int64("bytes", e.Size),
		slog.Duration("age", e.Age), slog.Any("metadata", e.Metadata), slog.String("stack", e.Stack))
}
