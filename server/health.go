package server

import (
	"io"
	"net/http"

	"github.com/streamflow/streamflow/memory"
)

// health says that the process is alive.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeText(w, "ok\n")
}

// ready says whether new uploads are welcome, for whoever balances load.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	switch {
	case s.isClosing():
		refuse(w, http.StatusServiceUnavailable, codeUnavailable, "the server is shutting down")
	case s.mem.Level() == memory.Critical:
		refuse(w, http.StatusServiceUnavailable, codeMemory, "memory is critical")
	default:
		writeText(w, "ready\n")
	}
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, text) // the client may be gone
}
