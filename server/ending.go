package server

import (
	"context"
	"sync/atomic"
	"time"
)

// maxEndings is how many bodies may have ended and not be answered yet. More make
// no disk faster, and from the end of a body on net/http has a second goroutine
// for its connection, whose stack begins as large as those of others are.
const maxEndings = 128

// Endings are the places of those bodies.
type endings struct {
	places  chan struct{}
	timeout time.Duration
	left    atomic.Uint64 // how many places were given back
}

// newEndings returns n places. Who may be in the way of those who have them, and wait
// for memory so long, doesn't wait for all of that time.
func newEndings(n int, memoryTimeout time.Duration) *endings {
	return &endings{places: make(chan struct{}, n), timeout: max(memoryTimeout/4, time.Millisecond)}
}

// An ending is a place among those bodies. Whoever has none waits with the last
// bytes in the buffer of its connection.
type ending struct {
	all   *endings
	ctx   context.Context // of the turn: a successor doesn't wait for a place
	left  int64           // bytes of the body that are still to come
	taken bool
}

// came is called before n bytes are given to net/http. That happens when it has
// none left, so it knows whether they are the last.
func (e *ending) came(n int) {
	if e.taken || int64(n) < e.left {
		return
	}
	select {
	case e.all.places <- struct{}{}:
		e.taken = true
	default:
		e.wait()
	}
}

// wait is for a place as long as others are given back. If none is, those who have
// one may be waiting for memory that this body's Write holds, so it goes on without.
func (e *ending) wait() {
	tick := time.NewTicker(e.all.timeout)
	defer tick.Stop()
	for {
		before := e.all.left.Load()
		select {
		case e.all.places <- struct{}{}:
			e.taken = true
			return
		case <-e.ctx.Done():
			return
		case <-tick.C:
			if e.all.left.Load() == before {
				return
			}
		}
	}
}

// leave gives the place back, if there is one.
func (e *ending) leave() {
	if e != nil && e.taken {
		e.all.left.Add(1)
		<-e.all.places
	}
}

// watched returns the connection that a body of HTTP/1 comes by, if its bytes
// are on it as they are. With hooks, each of which may take its time, nobody
// waits for others.
func (s *Server) watched(ctx context.Context) *connection {
	c := connectionOf(ctx)
	if c == nil || c.shared.Load() || s.opts.TLS != nil || s.opts.Hooks != nil {
		return nil
	}
	return c
}
