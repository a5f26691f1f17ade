package server

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// admitUpload says whether a new upload may begin. Uploads there are already go
// on, whatever the level.
func (s *Server) admitUpload() error {
	switch {
	case s.isClosing():
		return errShutdown
	case s.mem.Level() == memory.Critical:
		s.metrics.refused.critical.Inc()
		return busy()
	}
	return nil
}

// What a client that is refused is told to wait: not all should come back at
// the same moment.
const (
	busyLeast = 2 * time.Second
	busyMost  = 8 * time.Second
)

// busy refuses for want of memory. The connection goes too: it takes some.
func busy() error {
	return &protocol.Refusal{
		Status:     http.StatusServiceUnavailable,
		Code:       protocol.CodeMemory,
		Detail:     "the memory of the server is in use: try again",
		RetryAfter: busyLeast + rand.N(busyMost-busyLeast),
		Header:     http.Header{"Connection": {"close"}},
	}
}

// chargeRequest charges for a request that may take long. One on a connection
// that was accepted here and has one at a time is in the charge for that.
func (s *Server) chargeRequest(ctx context.Context) (release func(), err error) {
	if c := connectionOf(ctx); c != nil && !c.shared.Load() {
		return func() {}, nil
	}
	return s.reserve(ctx, requestBytes)
}

// charge takes what a request costs beyond its connection, and waits a while
// for it.
func (s *Server) charge(ctx context.Context, bytes int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.MemoryTimeout)
	defer cancel()
	release, err = s.reserve(ctx, bytes)
	if errors.Is(err, context.DeadlineExceeded) {
		s.metrics.refused.timeout.Inc()
		err = errMemory
	}
	return release, err
}

func (s *Server) reserve(ctx context.Context, bytes int64) (release func(), err error) {
	charge, err := s.mem.Reserve(ctx, memory.KindConnection, bytes)
	if errors.Is(err, memory.ErrLimit) {
		s.metrics.refused.limit.Inc()
	}
	if err != nil {
		return nil, err
	}
	return func() {
		if err := charge.Release(); err != nil {
			s.opts.Logger.Error("release memory of a request", "error", err)
		}
	}, nil
}

// admitStream charges for what a connection costs that turns out to speak
// HTTP/2, before its first request is looked at.
func (s *Server) admitStream(r *http.Request) error {
	c := connectionOf(r.Context())
	if c == nil || r.ProtoMajor < 2 {
		return nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.opts.MemoryTimeout)
	defer cancel()
	if c.share(ctx, streamsBytes+s.window()) != nil {
		s.metrics.refused.timeout.Inc()
		return busy()
	}
	return nil
}

// window is how many bytes of bodies a client may send ahead on one connection
// of HTTP/2.
func (s *Server) window() int64 { return min(max(s.mem.Limit()/64, 64<<10), 1<<20) }

// intake reads the body of a turn. begun is called at the first Read.
func (s *Server) intake(t *turn, begun func()) *intake {
	return &intake{
		turn: t, begun: sync.OnceFunc(begun), room: store.UnknownLength,
		patience: newPatience(s.opts.IdleTimeout, s.opts.MinRate),
		pace:     pace{level: s.mem.Level, bodies: s.observed.inFlight},
		limit:    s.policy.Throttle(t.ctx),
		ending:   ending{all: s.endings, ctx: t.ctx},
	}
}
