package server

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server/auth"
)

// A recorder remembers what was answered, for the metrics and the log.
type recorder struct {
	http.ResponseWriter
	server   *Server
	request  *http.Request
	start    time.Time
	code     int // 0 as long as there is no final one
	sent     int64
	returned bool // the handler, which did not panic
}

// record begins a request that end, which is deferred, counts and logs in one line.
func (s *Server) record(w http.ResponseWriter, r *http.Request) *recorder {
	return &recorder{ResponseWriter: w, server: s, request: r, start: time.Now()}
}

func (w *recorder) end() {
	panicked := recover()
	r, took := w.request, time.Since(w.start)
	w.server.metrics.request(r.Method, w.status(), took)
	who := auth.FromContext(r.Context())
	// Neither query nor headers: they may hold secrets.
	w.server.opts.Logger.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", w.status()),
		slog.Int64("content_length", r.ContentLength), slog.Int64("sent_bytes", w.sent),
		slog.Duration("took", took), slog.String("remote", r.RemoteAddr),
		slog.Any("client", who.Client), slog.String("owner", who.Owner))
	if panicked == nil {
		return
	}
	if err, ok := panicked.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		w.server.opts.Logger.Error("request panicked", "method", r.Method, "path", r.URL.Path, "panic", panicked, "stack", string(debug.Stack()))
	}
	panic(panicked) // for whoever is around, and then net/http
}

// status is the answer's, or what net/http makes of there being none.
func (w *recorder) status() int {
	switch {
	case w.code != 0:
		return w.code
	case w.returned:
		return http.StatusOK
	default:
		return http.StatusInternalServerError
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(code int) {
	if code >= http.StatusOK { // 1xx are not final
		w.final(code)
	}
	w.ResponseWriter.WriteHeader(code)
}

// final notes the first final status. Each answer to a request of tus says so,
// whoever gives it, and not before: a header takes memory while a body waits.
func (w *recorder) final(code int) {
	if w.code != 0 {
		return
	}
	w.code = code
	if w.request.Header.Get(tus.HeaderResumable) != "" {
		w.Header().Set(tus.HeaderResumable, tus.Version)
	}
}

// Write implements io.Writer.
func (w *recorder) Write(p []byte) (int, error) {
	w.final(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// ReadFrom implements io.ReaderFrom: net/http has the system send files.
func (w *recorder) ReadFrom(r io.Reader) (int64, error) {
	w.final(http.StatusOK)
	n, err := io.Copy(w.ResponseWriter, r)
	w.sent += n
	return n, err
}

// Unwrap serves http.ResponseController.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }
