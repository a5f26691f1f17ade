package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

var (
	errShutdown = &store.TransientError{Err: errors.New("the server is shutting down"), RetryAfter: 5 * time.Second}
	errIdle     = &store.TransientError{Err: errors.New("the body sent nothing, or too little, for too long"), RetryAfter: time.Second}
	errMemory   = &store.TransientError{Err: errors.New("no memory is free for this upload now"), RetryAfter: 5 * time.Second}
)

// A turn is one request's time with an upload. Requests for one upload take
// turns, the newest ending the body of the one before.
type turn struct {
	ctx    context.Context // ends with the turn, and when the client is gone
	cancel context.CancelFunc
	over   chan struct{}

	mu sync.Mutex
	// body is nil if the request has none, and once the turn is over: its
	// connection may have another request then.
	body protocol.Body
	why  error // the turn was ended
}

// begin has the turn under way yield, waits until it is over, and begins the next.
// The caller ends the new one with done.
func (s *Server) begin(ctx context.Context, id string, body protocol.Body) (t *turn, done func(), err error) {
	t = s.newTurn(ctx, body)
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		t.cancel()
		return nil, nil, errShutdown
	}
	before := s.turns[id]
	s.turns[id] = t
	s.running.Add(1)
	s.mu.Unlock()

	if before != nil {
		before.yield()
		// Not bounded by ctx: whoever ends this turn relies on over meaning
		// that the ones before are over too.
		<-before.over
	}
	return t, func() { s.finish(id, t) }, nil
}

// beginIfIdle begins a turn if no request has one.
func (s *Server) beginIfIdle(ctx context.Context, id string) (t *turn, done func(), ok bool) {
	t = s.newTurn(ctx, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || s.turns[id] != nil {
		t.cancel()
		return nil, nil, false
	}
	s.turns[id] = t
	s.running.Add(1)
	return t, func() { s.finish(id, t) }, true
}

func (s *Server) newTurn(ctx context.Context, body protocol.Body) *turn {
	t := &turn{over: make(chan struct{}), body: body}
	t.ctx, t.cancel = context.WithCancel(ctx)
	return t
}

func (s *Server) finish(id string, t *turn) {
	t.cancel()
	if errors.Is(t.ended(), errMemory) {
		s.metrics.refused.timeout.Inc()
	}
	t.mu.Lock()
	t.body = nil
	t.mu.Unlock()
	s.mu.Lock()
	if s.turns[id] == t {
		delete(s.turns, id)
	}
	s.mu.Unlock()
	close(t.over)
	s.running.Done()
}

// yield ends a turn that may wait for its client. One without a body is over
// soon, and who asks is owed an answer: of two that ask at once both get one.
func (t *turn) yield() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.body != nil {
		t.stop(store.ErrSuperseded)
	}
}

// end makes the turn's body stop at once, with err as the reason.
func (t *turn) end(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop(err)
}

// stop is end for who holds mu.
func (t *turn) stop(err error) {
	if t.why == nil {
		t.why = err
	}
	t.cancel()
	if t.body != nil {
		_ = t.body.SetReadDeadline(time.Unix(1, 0)) // without deadlines the body ends by itself
	}
}

// ended returns why the turn was ended, or nil.
func (t *turn) ended() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}

// reason is why the turn was ended, if err came of that, or err itself.
func (t *turn) reason(err error) error {
	if why := t.ended(); err != nil && why != nil {
		return why
	}
	return err
}

// extend gives the body time to send the next bytes. Once the turn has ended
// the deadline stays in the past, and once it is over there is none to set.
func (t *turn) extend(d time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != nil || t.body == nil {
		return context.Canceled
	}
	_ = t.body.SetReadDeadline(time.Now().Add(d))
	return nil
}

// rest lets the body's connection be idle, as while the answer is made.
func (t *turn) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why == nil && t.body != nil {
		_ = t.body.SetReadDeadline(time.Time{})
	}
}
