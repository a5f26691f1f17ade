package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	headerTimeout  = 10 * time.Second
	idleConnection = 60 * time.Second
	maxHeaderBytes = 16 << 10
)

// Serve answers on ln, which it closes, until ctx ends; then it shuts down
// gracefully, in Options.ShutdownTimeout at most, and returns nil if that went
// well. Until then it removes expired uploads. It speaks HTTP/1.1, in settings that a slow client can't exhaust.
//
// Who embeds the Server in an http.Server of their own sets ReadHeaderTimeout
// and MaxHeaderBytes there, and no ReadTimeout: bodies are timed here.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	hs := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleConnection,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         &protocols,
		ErrorLog:          slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
	defer s.sweep(ctx)()
	failed := make(chan error, 1)
	go func() { failed <- hs.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.ShutdownTimeout)
	defer cancel()
	err := s.Shutdown(ending)
	if e := hs.Shutdown(ending); e != nil {
		err = errors.Join(err, e, hs.Close())
	}
	if e := <-failed; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	if err != nil {
		return fmt.Errorf("shut down: %w", err)
	}
	return nil
}

// Shutdown takes no new request for an upload, ends the bodies under way, and
// waits until what arrived of them is safe in the store or ctx ends. All of
// them are answered 503 with Retry-After. Streams of events end. It doesn't
// close connections.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing {
		close(s.ending)
	}
	s.closing = true
	for _, t := range s.turns {
		t.end(errShutdown)
	}
	s.mu.Unlock()

	over := make(chan struct{})
	go func() {
		defer close(over)
		s.running.Wait()
	}()
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("requests still under way: %w", context.Cause(ctx))
	}
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
