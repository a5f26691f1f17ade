// Package server takes uploads over HTTP and keeps them in a store.Store.
//
// Use it as a program of its own, with [Server.Serve], or as an http.Handler
// in somebody else's mux. It speaks tus 1.0 (package protocol/tus).
//
// A newer request for an upload ends the older one and takes over, so a
// connection whose client is gone never locks anybody out. What the older one
// had made durable stays.
//
// # Memory
//
// A request body goes through the store's buffers only, and every append is
// charged for its connection before its body is read. Where there is no room
// the body waits in the socket, and after Options.MemoryTimeout it is refused
// with 503.
//
// # Concurrency
//
// A [Server] is safe for concurrent use.
package server

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// Options of a Server. The zero value works.
type Options struct {
	// BasePath is the path of the collection of uploads as r.URL.Path shows
	// it; default "/files/". It begins and ends with a slash. Behind
	// http.StripPrefix it is what remains; Location headers are whole again.
	BasePath string
	// MaxFileBytes bounds an upload, in bytes; 0 means only the store does.
	MaxFileBytes int64
	// IdleTimeout ends a body that sends nothing for so long; default 60 s.
	// The upload is kept.
	IdleTimeout time.Duration
	// MemoryTimeout is how long a body waits for memory; default 10 s.
	MemoryTimeout time.Duration
	// ShutdownTimeout is how long Serve waits for requests under way once its
	// context has ended; default 30 s.
	ShutdownTimeout time.Duration
	// Logger hears of trouble; default: nobody.
	Logger *slog.Logger
}

func (o *Options) withDefaults() Options {
	var opts Options
	if o != nil {
		opts = *o
	}
	if opts.BasePath == "" {
		opts.BasePath = "/files/"
	}
	if opts.IdleTimeout == 0 {
		opts.IdleTimeout = 60 * time.Second
	}
	if opts.MemoryTimeout == 0 {
		opts.MemoryTimeout = 10 * time.Second
	}
	if opts.ShutdownTimeout == 0 {
		opts.ShutdownTimeout = 30 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return opts
}

// A Server is the upload server as an http.Handler.
type Server struct {
	store     store.Store
	mem       *memory.Manager
	opts      Options
	maxLength int64
	tus       *tus.Handler

	mu      sync.Mutex
	closing bool
	turns   map[string]*turn // the newest request of each upload
	running sync.WaitGroup   // turns not yet over
}

// New returns a server that keeps uploads in st and charges mem.
func New(st store.Store, mem *memory.Manager, opts *Options) (*Server, error) {
	o := opts.withDefaults()
	switch {
	case !strings.HasPrefix(o.BasePath, "/") || !strings.HasSuffix(o.BasePath, "/"):
		return nil, errors.New("server: BasePath must begin and end with a slash")
	case o.MaxFileBytes < 0:
		return nil, errors.New("server: MaxFileBytes is negative")
	case o.IdleTimeout < 0 || o.MemoryTimeout < 0 || o.ShutdownTimeout < 0:
		return nil, errors.New("server: a timeout is negative")
	}
	s := &Server{store: st, mem: mem, opts: o, maxLength: o.MaxFileBytes, turns: make(map[string]*turn)}
	if l := st.Limits().MaxLength; l > 0 && (s.maxLength == 0 || l < s.maxLength) {
		s.maxLength = l
	}
	s.tus = tus.NewHandler(uploads{s}, &tus.Options{BasePath: o.BasePath, MaxLength: s.maxLength, Logger: o.Logger})
	return s, nil
}

const page = `Streamflow takes uploads of any size here, by tus 1.0 (https://tus.io).

  streamflow upload FILE `

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, s.opts.BasePath), r.URL.Path+"/" == s.opts.BasePath:
		s.tus.ServeHTTP(w, r)
	case r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		_, _ = w.Write([]byte(page + scheme + "://" + r.Host + s.opts.BasePath + "\n"))
	default:
		http.NotFound(w, r)
	}
}
