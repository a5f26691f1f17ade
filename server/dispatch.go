package server

import (
	"net/http"

	"github.com/streamflow/streamflow/protocol/rufh"
	"github.com/streamflow/streamflow/protocol/tus"
)

// dispatch gives a request at or below the base path to who understands it.
//
// A HEAD is asked by two sorts of clients. One wants to go on with an upload and
// needs its offset, the other wants to know of a file before it reads it. A
// finished upload that may be read answers both at once, with the fields of
// either; whoever says that it speaks RUFH gets its answer, 204.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	if s.opts.Hooks != nil {
		r = r.WithContext(s.opts.Hooks.NewContext(r))
	}
	switch {
	case r.Method == http.MethodGet: // also of a tus client
		s.download(w, r)
	case r.Method == http.MethodOptions:
		s.rufh.Announce(w, r)
		s.tus.ServeHTTP(w, r)
	case tus.Speaks(r):
		s.tus.ServeHTTP(w, r)
	case r.Method == http.MethodHead && s.reader != nil && r.Header.Get(rufh.HeaderInterop) == "":
		s.describe(w, r)
	default:
		s.rufh.ServeHTTP(w, r)
	}
}

// describe answers a HEAD as a GET would be, where a GET would give something:
// who may not read an upload may still ask how far it came.
func (s *Server) describe(w http.ResponseWriter, r *http.Request) {
	id, err := s.uploads.Target(r)
	if err != nil || id == "" || s.send(w, r, id) != nil {
		s.rufh.ServeHTTP(w, r)
	}
}
