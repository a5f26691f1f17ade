package server

import (
	"encoding/json"
	"net/http"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// Endpoints answer what is asked of the server itself, by exact path.
type endpoints map[string]endpoint

type endpoint struct {
	method string // GET is HEAD too
	serve  http.HandlerFunc
}

// operation is what everybody may ask who reaches the server.
func (s *Server) operation() endpoints {
	return endpoints{
		"/":               {http.MethodGet, s.page},
		"/healthz":        {http.MethodGet, s.health},
		"/readyz":         {http.MethodGet, s.ready},
		"/metrics":        {http.MethodGet, s.metrics.ServeHTTP},
		"/api/v1/memory":  {http.MethodGet, s.showMemory},
		"/api/v1/uploads": {http.MethodGet, s.showUploads},
		"/api/v1/events":  {http.MethodGet, s.streamEvents},
	}
}

// Admin returns the handler for those who run the server: what everybody may
// ask, the ids and names of the uploads under way, and the cleanup. Whoever
// knows an id may go on with the upload or end it, so mount Admin only where
// nobody else gets at it.
func (s *Server) Admin() http.Handler {
	all := s.operation()
	all["/api/v1/uploads"] = endpoint{http.MethodGet, s.showUploadsNamed}
	all["/api/v1/memory/cleanup"] = endpoint{http.MethodPost, s.cleanUp}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.record(w, r, all.ServeHTTP) })
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
