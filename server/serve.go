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
	// What RFC 9113 recommends as the least, and when a silent connection of
	// HTTP/2 is asked whether its client is still there.
	maxStreams = 100
	pingAfter  = 30 * time.Second
)

// Serve answers on ln, which it closes, until ctx ends; then it shuts down
// gracefully, in Options.ShutdownTimeout at most, and returns nil if that went
// well. Until then it removes expired uploads. It speaks HTTP/1.1 and HTTP/2,
// with Options.TLS over TLS, in settings that a slow client can't exhaust, and
// charges for each connection before it is accepted. One that finds no room is
// answered 503, or how the server is where it asks for that.
//
// Who embeds the Server in an http.Server of their own sets ReadHeaderTimeout
// and MaxHeaderBytes there, and no ReadTimeout: bodies are timed here.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	charged, err := s.listen(ln)
	if err != nil {
		return errors.Join(fmt.Errorf("serve: %w", err), ln.Close())
	}
	defer s.unlisten(charged)
	hs := s.httpServer()
	defer s.sweep(ctx)()
	failed := make(chan error, 1)
	go func() {
		if s.opts.TLS != nil {
			failed <- hs.ServeTLS(charged, "", "")
		} else {
			failed <- hs.Serve(charged)
		}
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", errors.Join(err, hs.Close()))
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.ShutdownTimeout)
	defer cancel()
	err = s.Shutdown(ending)
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

// httpServer is the server that Serve runs. What it takes for a client is in
// the charge for a connection.
func (s *Server) httpServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: min(headerTimeout, s.opts.IdleTimeout),
		IdleTimeout:       idleConnection,
		MaxHeaderBytes:    maxHeaderBytes,
		TLSConfig:         s.opts.TLS,
		Protocols:         &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: int(s.window()),
			MaxReceiveBufferPerStream:     int(s.window()),
			SendPingTimeout:               pingAfter,
			PingTimeout:                   headerTimeout,
			WriteByteTimeout:              pingAfter,
		},
		ConnContext: withConnection,
		ConnState:   answered,
		ErrorLog:    slog.NewLogLogger(s.opts.Logger.Handler(), slog.LevelDebug),
	}
}

func (s *Server) unlisten(l *listener) {
	l.cancel()
	l.drop()
	if err := errors.Join(l.mem.Close(), l.lobby.mem.Close()); err != nil {
		s.opts.Logger.Warn("connections outlive the server", "error", err)
	}
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
