// Command bare is the least an upload server can be: net/http with a handler
// that throws the bytes away, or writes each body to a file of its own where
// -dir is given. It answers as a tus server would, and prints its URL.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
)

func main() {
	dir := flag.String("dir", "", "where bodies are kept; empty is nowhere")
	flag.Parse()
	if err := run(*dir); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/files/\n", listener.Addr())
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(listener, &handler{dir: dir}) }()
	select {
	case <-ended:
		return nil
	case err := <-failed:
		return err
	}
}

type handler struct {
	dir  string
	last atomic.Int64
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, err := h.take(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Tus-Resumable", "1.0.0")
	w.Header().Set("Upload-Offset", strconv.FormatInt(n, 10))
	if r.Method == http.MethodPost {
		w.Header().Set("Location", "/files/"+strconv.FormatInt(h.last.Add(1), 10))
		w.WriteHeader(http.StatusCreated)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (h *handler) take(body io.Reader) (int64, error) {
	if h.dir == "" {
		return io.Copy(io.Discard, body)
	}
	f, err := os.Create(filepath.Join(h.dir, strconv.FormatInt(h.last.Add(1), 10)))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return io.Copy(f, body)
}
