package streamflow

import (
	"context"
	"iter"
	"sync"
)

// What a subscriber that doesn't read may pile up.
const (
	maxPendingUploads = 4096
	maxPendingMemory  = 64
)

// A Subscription receives the events of one [Manager]. The engine never waits
// for it: events of one upload that weren't read yet are replaced by newer ones
// of the same type.
type Subscription struct {
	m    *Manager
	wake chan struct{} // holds a token while something is pending

	mu      sync.Mutex
	memory  []Event
	pending map[*Upload]*pendingEvents
	order   []*Upload // the keys of pending, longest waiting first
	closed  bool
}

// pendingEvents of one upload; nil where there is none of that type.
type pendingEvents struct {
	progress    *Progress
	performance *Performance
	state       *StateChange
}

func newSubscription(m *Manager) *Subscription {
	return &Subscription{m: m, wake: make(chan struct{}, 1), pending: map[*Upload]*pendingEvents{}}
}

// Events yields events as they happen, until ctx ends, or until the
// subscription or its Manager is closed and all that was pending is read. Use
// it from one goroutine at a time.
func (s *Subscription) Events(ctx context.Context) iter.Seq[Event] {
	return func(yield func(Event) bool) {
		for ctx.Err() == nil {
			events, closed := s.next()
			for _, e := range events {
				if !yield(e) {
					return
				}
			}
			if len(events) > 0 {
				continue
			}
			if closed {
				return
			}
			select {
			case <-s.wake:
			case <-ctx.Done():
			}
		}
	}
}

// Close ends the subscription. It may be called again.
func (s *Subscription) Close() {
	s.m.unsubscribe(s)
	s.end()
}

func (s *Subscription) end() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.notify()
}

// next takes the pending events of the budget and of one upload.
func (s *Subscription) next() (events []Event, closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	events, s.memory = s.memory, nil
	if len(s.order) == 0 {
		return events, s.closed
	}
	u := s.order[0]
	s.order = s.order[1:]
	p := s.pending[u]
	delete(s.pending, u)
	// A last state comes after the last figures, any other one before them.
	last := p.state != nil && p.state.State.Status.ended()
	if p.state != nil && !last {
		events = append(events, *p.state)
	}
	if p.progress != nil {
		events = append(events, *p.progress)
	}
	if p.performance != nil {
		events = append(events, *p.performance)
	}
	if last {
		events = append(events, *p.state)
	}
	return events, s.closed
}

func (s *Subscription) publish(e Event) {
	s.mu.Lock()
	if !s.closed {
		s.add(e)
	}
	s.mu.Unlock()
	s.notify()
}

func (s *Subscription) add(e Event) {
	switch e := e.(type) {
	case Progress:
		s.of(e.Upload).progress = &e
	case Performance:
		p := s.of(e.Upload)
		if p.performance != nil {
			e.ProcessingTime += p.performance.ProcessingTime
		}
		p.performance = &e
	case StateChange:
		s.of(e.Upload).state = &e
	case Memory:
		if len(s.memory) == maxPendingMemory {
			s.memory = s.memory[1:]
		}
		s.memory = append(s.memory, e)
	}
}

func (s *Subscription) of(u *Upload) *pendingEvents {
	p := s.pending[u]
	if p != nil {
		return p
	}
	if len(s.order) == maxPendingUploads {
		delete(s.pending, s.order[0])
		s.order = s.order[1:]
	}
	p = &pendingEvents{}
	s.pending[u] = p
	s.order = append(s.order, u)
	return p
}

func (s *Subscription) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
