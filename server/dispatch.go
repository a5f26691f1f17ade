package server

import (
	"net/http"

	"github.com/streamflow/streamflow/protocol/tus"
)

// dispatch gives a request at or below the base path to who understands it.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get(tus.HeaderResumable) != "" {
		w.Header().Set(tus.HeaderResumable, tus.Version) // whoever answers
	}
	if s.opts.Hooks != nil {
		r = r.WithContext(s.opts.Hooks.NewContext(r))
	}
	switch r.Method {
	case http.MethodGet: // also of a tus client
		s.download(w, r)
	default:
		s.tus.ServeHTTP(w, r)
	}
}
