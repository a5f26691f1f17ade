package server

import (
	"encoding/json"
	"net/http"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store"
)

// Endpoints answer what is asked of the server itself, by exact path.
type endpoints map[string]endpoint

type endpoint struct {
	method string // GET is HEAD too
	serve  http.HandlerFunc
	// allowed to whoever has one of these scopes; everybody where there is none
	allowed []auth.Scopes
	always  bool // answered also where there is room for nothing else
}

// Where requests are authenticated, figures of the whole server are for everybody
// who may do anything, and what shows single uploads or needs much work for
// those who run it.
var (
	anyScope  = []auth.Scopes{auth.Create, auth.Append, auth.Read, auth.Delete}
	adminOnly = []auth.Scopes{auth.Admin}
)

// operation is what may be asked of a server, by whom where it authenticates.
func (s *Server) operation() endpoints {
	return endpoints{
		"/":               {http.MethodGet, s.introduce, nil, false},
		"/healthz":        {http.MethodGet, s.health, nil, true},
		"/readyz":         {http.MethodGet, s.ready, nil, true},
		"/metrics":        {http.MethodGet, s.metrics.ServeHTTP, adminOnly, false},
		"/api/v1/memory":  {http.MethodGet, s.showMemory, anyScope, false},
		"/api/v1/uploads": {http.MethodGet, s.showUploads, adminOnly, false},
		"/api/v1/events":  {http.MethodGet, s.streamEvents, anyScope, false},
	}
}

// operate answers what is asked of the server itself.
func (s *Server) operate(w http.ResponseWriter, r *http.Request) {
	if at := s.endpoints[r.URL.Path]; s.opts.Auth != nil && len(at.allowed) > 0 {
		if err := auth.Allow(r.Context(), at.allowed...); err != nil {
			protocol.WriteProblem(w, r, err)
			return
		}
	}
	s.endpoints.ServeHTTP(w, r)
}

// Admin returns the handler for those who run the server, and asks nobody for a
// token: what others may ask, the ids and names of the uploads under way, and the cleanup. Whoever
// knows an id may go on with the upload or end it, so mount Admin only where
// nobody else gets at it.
func (s *Server) Admin() http.Handler {
	all := s.operation()
	all["/api/v1/uploads"] = endpoint{method: http.MethodGet, serve: s.showUploadsNamed}
	all["/api/v1/memory/cleanup"] = endpoint{method: http.MethodPost, serve: s.cleanUp}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := s.record(w, r)
		defer rec.end()
		all.ServeHTTP(rec, r)
		rec.returned = true
	})
}

// ServeHTTP implements http.Handler.
func (e endpoints) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at, ok := e[r.URL.Path]
	switch {
	case !ok:
		protocol.WriteProblem(w, r, store.ErrNotFound)
	case r.Method != at.method && (r.Method != http.MethodHead || at.method != http.MethodGet):
		protocol.WriteProblem(w, r, protocol.MethodNotAllowed(at.method))
	default:
		at.serve(w, r)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own structs of strings and numbers: can't be
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}
