package server

import (
	"context"
	"net/http"

	"github.com/streamflow/streamflow/store"
)

// OnLifecycle has fn hear of what becomes of uploads, by the name of the list.
// It is called before the first request; its error counts where an upload is
// finishing.
func (s *Server) OnLifecycle(fn func(list string, info store.Info) error) {
	listener := func(list string) func(context.Context, store.Info) {
		return func(_ context.Context, info store.Info) { _ = fn(list, info) }
	}
	l := &s.lifecycle
	l.created = append(l.created, listener("created"))
	l.finishing = append(l.finishing, func(_ context.Context, info store.Info) error { return fn("finishing", info) })
	l.finished = append(l.finished, listener("finished"))
	l.discarded = append(l.discarded, listener("discarded"))
}

// InFlight is how many uploads have their bytes coming in now.
func (s *Server) InFlight() int { return s.observed.inFlight() }

// Received is how many bytes those uploads have got so far.
func (s *Server) Received() (n int64) {
	arriving, _ := s.observed.oldest(s.observed.inFlight())
	for _, a := range arriving {
		n += a.received.Load()
	}
	return n
}

// Withdraw is what protocols do that refuse a request which left an upload so.
func (s *Server) Withdraw(r *http.Request, left store.Info) { s.uploads.Withdraw(r, left) }

// Turn is the newest request of an upload, or nil. It is for comparing.
func (s *Server) Turn(id string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns[id]
}

// LimitEndings bounds how many bodies may be at their end at once. It is called
// before the first request.
func (s *Server) LimitEndings(n int) { s.endings = newEndings(n, s.opts.MemoryTimeout) }

// Endings is how many bodies are at their end.
func (s *Server) Endings() int { return len(s.endings.places) }
