package server

import (
	"net/http"
	"net/url"

	"github.com/streamflow/streamflow/server/auth"
)

// identify has a request say where it began, by its Host, URL and RequestURI, and
// puts who makes it into its context, for all that comes after.
func (s *Server) identify(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	from := s.originOf(r)
	ctx := auth.WithClient(r.Context(), from.client)
	if s.opts.Auth != nil {
		ctx = s.opts.Auth.Authenticate(ctx, r)
	}
	r = r.WithContext(ctx)
	at := *r.URL
	at.Scheme = from.scheme
	r.URL, r.Host = &at, from.host
	if from.prefix != "" {
		// As http.StripPrefix leaves it: Location headers are whole again.
		if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
			r.RequestURI = from.prefix + u.RequestURI()
		}
	}
	next(w, r)
}
