package server

import (
	"net/http"
	"net/url"

	"github.com/streamflow/streamflow/server/auth"
)

// identified returns r as one that says where it began, by its Host, URL and
// RequestURI, and who makes it, by its context. It is over when the request is
// answered: what it needs of the stack isn't kept while a body waits.
func (s *Server) identified(r *http.Request) *http.Request {
	from := s.forwardedOf(r)
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
	return r
}
