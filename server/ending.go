package server

import "context"

// maxEndings is how many bodies may have ended and not be answered yet. More make
// no disk faster, and from the end of a body on net/http has a second goroutine
// for its connection, whose stack begins as large as those of others are.
const maxEndings = 128

// An ending is a place among those bodies. Whoever has none waits with the last
// bytes in the buffer of its connection.
type ending struct {
	places chan struct{}
	ctx    context.Context // of the turn: a successor doesn't wait for a place
	left   int64           // bytes of the body that are still to come
	taken  bool
}

// came is called before n bytes are given to net/http. That happens when it has
// none left, so it knows whether they are the last.
func (e *ending) came(n int) {
	if e.taken || int64(n) < e.left {
		return
	}
	select {
	case e.places <- struct{}{}:
		e.taken = true
	case <-e.ctx.Done():
	}
}

// leave gives the place back, if there is one.
func (e *ending) leave() {
	if e != nil && e.taken {
		<-e.places
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
