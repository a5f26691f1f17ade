package server

import (
	"io"
	"net/http"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
)

// health says that the process is alive.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeText(w, "ok\n")
}

// ready says whether new uploads are welcome, for whoever balances load.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.isClosing():
		protocol.WriteProblem(w, r, errShutdown)
	case s.mem.Level() == memory.Critical:
		protocol.WriteProblem(w, r, busy())
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
