// Package server takes uploads over HTTP and keeps them in a store.Store.
//
// Use it as a program of its own, with [Server.Serve], or as an http.Handler
// in somebody else's mux. It speaks tus 1.0 (protocol/tus), with those of
// its extensions that the store can play its part in, and Resumable Uploads for
// HTTP (protocol/rufh); a plain PUT or POST is an upload too.
//
// A newer request for an upload ends the older one and takes over, so a
// connection whose client is gone never locks anybody out. What the older one
// had made durable stays.
//
// # Operation
//
// Beside the uploads it answers /healthz, /readyz, /metrics for Prometheus, and
// /api/v1 with memory, the uploads under way, and events; openapi.yaml
// describes these. At / is the upload page (server/page), and a text for clients
// that take no HTML. What only those who run the server may do is in
// [Server.Admin], to be mounted where nobody else gets at it. Each request is
// one line of the log.
//
// # Memory
//
// Serve charges for each connection before it accepts it, and for what HTTP/2
// adds to one; in somebody else's http.Server every append is charged for. A
// request body goes through the store's buffers only. From level warning on all
// bodies are read more slowly, each at the same rate; at critical new uploads
// are refused with 503 and those there are go on. A body that finds no memory
// for Options.MemoryTimeout is refused with 503.
//
// # Concurrency
//
// A [Server] is safe for concurrent use.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/rufh"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/server/page"
	"github.com/streamflow/streamflow/server/policy"
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
	// MinRate is the least that a body may send, in bytes a second over
	// IdleTimeout; default 32. It is ended if it sends less, and the upload is
	// kept. Negative means that any byte in time will do.
	MinRate int64
	// MemoryTimeout is how long a body waits for memory; default 10 s.
	MemoryTimeout time.Duration
	// ExpireAfter is how long an unfinished upload is kept after its last bytes;
	// default 0, for ever. The store must be a store.Lister. Where other servers
	// share it, they see with a delay of minutes that bytes come, so it should be
	// some more than IdleTimeout. See RemoveExpired.
	ExpireAfter time.Duration
	// AllowReading: GET and HEAD give finished uploads back to everybody who
	// knows their URL. The store must be a store.Reader. Without it the server
	// only takes: what strangers upload is nothing to be spread from here.
	AllowReading bool
	// ExpireFinishedAfter is how long a finished upload is kept; default 0, for
	// ever. The store must be a store.Lister.
	ExpireFinishedAfter time.Duration
	// Policy bounds what clients may do; default: anything.
	Policy policy.Options
	// ShutdownTimeout is how long Serve waits for requests under way once its
	// context has ended; default 30 s.
	ShutdownTimeout time.Duration
	// Auth says who makes a request; then each may do what its scopes say, to its
	// owner's uploads. Default: nobody is asked, and everybody may do anything.
	Auth *auth.Options
	// TLS has Serve speak TLS. It needs a certificate or a way to get one; nil is
	// HTTP without TLS.
	TLS *tls.Config
	// Hooks are asked and told of uploads; default none. Whoever made them closes
	// them, after the last request.
	Hooks *hook.Hooks
	// Proxies are the networks of reverse proxies in front of the server: what they
	// say of a request, by X-Forwarded-For, -Proto, -Host and -Prefix or Forwarded
	// (RFC 7239), is believed. See [PrivateNetworks]. Default: no proxy is trusted.
	Proxies []netip.Prefix
	// CORSOrigins are the sites whose pages may use the server, as
	// https://example.com, or "*" for all. Default: only its own.
	CORSOrigins []string
	// LoopbackOnly refuses requests whose Host is no name of this machine, so that
	// no web page gets in that made its own name lead here.
	LoopbackOnly bool
	// Logger hears of trouble, and at info of each request; default: nobody.
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
	if opts.MinRate == 0 {
		opts.MinRate = 32
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
	store     policy.Backend // observed, and counted where the policy limits it
	observed  *observedStore
	mem       *memory.Manager
	opts      Options
	maxLength int64
	uploads   *protocol.Collection
	sites     *sites
	tus       *tus.Handler
	rufh      *rufh.Handler
	reader    store.Reader // nil: nothing is given back
	page      *page.Page
	metrics   *metrics
	stats     *recentStats
	endpoints endpoints
	lifecycle lifecycle
	policy    *policy.Policy
	lister    store.Lister  // nil where the store is none
	cleaner   store.Cleaner // nil where the store is none
	ending    chan struct{} // closed by Shutdown
	endings   *endings

	mu      sync.Mutex
	closing bool
	readers int              // streams of events
	turns   map[string]*turn // the newest request of each upload
	running sync.WaitGroup   // turns and readers not yet over
}

// check says what is wrong with the options of a server over st.
func (o *Options) check(st store.Store) error {
	_, lists := st.(store.Lister)
	_, reads := st.(store.Reader)
	switch {
	case !strings.HasPrefix(o.BasePath, "/") || !strings.HasSuffix(o.BasePath, "/"):
		return errors.New("server: BasePath must begin and end with a slash")
	case o.MaxFileBytes < 0:
		return errors.New("server: MaxFileBytes is negative")
	case o.IdleTimeout < 0 || o.MemoryTimeout < 0 || o.ExpireAfter < 0 || o.ExpireFinishedAfter < 0 || o.ShutdownTimeout < 0:
		return errors.New("server: a timeout is negative")
	case (o.ExpireAfter > 0 || o.ExpireFinishedAfter > 0) && !lists:
		return errors.New("server: ExpireAfter and ExpireFinishedAfter need a store that lists its uploads")
	case o.Auth != nil && o.Auth.Keys != nil && !st.Limits().ChosenIDs:
		return errors.New("server: Auth.Keys needs a store that takes chosen ids")
	case o.AllowReading && !reads:
		return errors.New("server: AllowReading needs a store that can be read")
	}
	return nil
}

// New returns a server that keeps uploads in st and charges mem. Where the policy
// counts uploads it walks through st first.
func New(st store.Store, mem *memory.Manager, opts *Options) (*Server, error) {
	o := opts.withDefaults()
	if err := o.check(st); err != nil {
		return nil, err
	}
	pages, err := newSites(o.CORSOrigins)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	rules, err := policy.New(context.Background(), st, o.Policy, o.Logger)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	observed := observe(st, o.Logger)
	s := &Server{
		store: rules.Store(observed), observed: observed, policy: rules, sites: pages, mem: mem, opts: o, maxLength: o.MaxFileBytes,
		stats: &recentStats{mem: mem}, ending: make(chan struct{}), endings: newEndings(maxEndings, o.MemoryTimeout), turns: make(map[string]*turn),
	}
	if l := st.Limits().MaxLength; l > 0 && (s.maxLength == 0 || l < s.maxLength) {
		s.maxLength = l
	}
	s.lister, _ = st.(store.Lister)
	s.cleaner, _ = st.(store.Cleaner)
	if o.AllowReading {
		s.reader = downloads{s}
	}
	if s.reader != nil && o.Auth != nil {
		s.reader = auth.NewReader(s.reader, observed)
	}
	s.lifecycle.finishing = append(s.lifecycle.finishing, rules.BeforeFinish)
	if o.Hooks != nil {
		s.lifecycle.toldTo(o.Hooks)
	}
	s.uploads = s.collection()
	s.tus = tus.NewHandler(s.uploads, s.tusOptions(st))
	s.rufh = rufh.NewHandler(s.uploads, &rufh.Options{Digests: st.Limits().Verified})
	s.metrics = newMetrics(observed.inFlight, s.stats.now, o.Hooks)
	observed.metrics = s.metrics
	s.page = page.New(page.Options{BasePath: o.BasePath, Reading: o.AllowReading})
	s.endpoints = s.operation()
	for _, path := range s.page.Paths() {
		s.endpoints[path] = endpoint{method: http.MethodGet, serve: s.page.ServeHTTP}
	}
	s.endpoints["/"] = endpoint{method: http.MethodGet, serve: s.welcome}
	return s, nil
}

// collection is what the protocols stand in front of.
func (s *Server) collection() *protocol.Collection {
	opts := &protocol.Options{BasePath: s.opts.BasePath, MaxLength: s.maxLength, Logger: s.opts.Logger}
	if s.opts.ExpireAfter > 0 {
		opts.Expires = s.unfinishedUntil
	}
	var all protocol.Uploads = uploads{s}
	if s.opts.Hooks != nil {
		all = s.opts.Hooks.Uploads(all)
	}
	all = s.policy.Uploads(all)
	if s.opts.Auth != nil {
		all = auth.NewUploads(all, s.store)
		opts.KeepQuery = auth.QueryGrant
	}
	return protocol.NewCollection(all, opts)
}

// tusOptions has the extensions that st can play its part in.
func (s *Server) tusOptions(st store.Store) *tus.Options {
	_, concatenates := st.(store.Concatenator)
	return &tus.Options{Checksums: st.Limits().Verified, Concatenation: concatenates, Decoders: s.charge}
}

// ServeHTTP implements http.Handler: uploads below the base path, and around
// them what operation lists.
//
// What comes before a body is read are checks that return, and no handlers around
// handlers: while thousands of bodies wait, each frame of the stack counts.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c := connectionOf(r.Context()); c != nil {
		c.handled.Store(true)
	}
	rec := s.record(w, s.identified(r))
	defer rec.end()
	s.route(rec, rec.request)
	rec.returned = true
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	uploads := s.isForUploads(r)
	answered, err := s.admit(w, r, uploads)
	switch {
	case answered:
	case err != nil && uploads:
		s.uploads.Refuse(w, r, err)
	case err != nil:
		protocol.WriteProblem(w, r, err)
	case uploads:
		s.dispatch(w, r)
	default:
		s.operate(w, r)
	}
}

// isForUploads: at or below the base path, where that isn't an endpoint's.
func (s *Server) isForUploads(r *http.Request) bool {
	_, operation := s.endpoints[r.URL.Path]
	base := s.opts.BasePath
	below := strings.HasPrefix(r.URL.Path, base) || r.URL.Path+"/" == base
	return r.URL.Path == base || below && !operation
}

// admit refuses what may not be answered, whatever it asks for.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, uploads bool) (answered bool, err error) {
	if err := s.admitVisitor(w, r); err != nil {
		return false, err
	}
	if err := s.admitStream(r); err != nil {
		return false, err
	}
	if s.opts.LoopbackOnly {
		if err := checkLoopback(r); err != nil {
			return false, err
		}
	}
	if !uploads {
		return false, nil
	}
	if answered, err := s.sites.admit(w, r); answered || err != nil {
		return answered, err
	}
	return false, s.policy.Request(r.Context())
}
