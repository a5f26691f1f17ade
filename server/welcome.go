package server

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/streamflow/streamflow/server/page"
)

const introduction = `Streamflow takes uploads of any size here, by tus 1.0 (https://tus.io),
Resumable Uploads for HTTP, or as they are:

  streamflow upload FILE `

// welcome is what is at /: the page for browsers, and a few words for the rest.
func (s *Server) welcome(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	if page.Wanted(r) {
		s.page.ServeHTTP(w, r)
		return
	}
	s.introduce(w, r)
}

func (s *Server) introduce(w http.ResponseWriter, r *http.Request) {
	writeText(w, introduction+r.URL.Scheme+"://"+r.Host+s.uploads.Path(r)+"\n")
}

// lead brings a browser that was given the address of all uploads to the page.
func (s *Server) lead(w http.ResponseWriter, r *http.Request) {
	if s.opts.BasePath == "/" {
		s.welcome(w, r)
		return
	}
	w.Header().Add("Vary", "Accept")
	w.Header().Set("Cache-Control", "no-store")
	base := (&url.URL{Path: s.opts.BasePath}).EscapedPath()
	http.Redirect(w, r, strings.TrimSuffix(s.uploads.Path(r), base)+"/", http.StatusSeeOther)
}
