package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server"
)

// isLoopback reports whether only this machine reaches the host.
func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// adminHandler is api and pprof, for programs on this machine. Nothing else is
// between them and the server's insides, so web pages are kept out: those whose
// name was made to lead here, and those that send requests here from elsewhere.
func adminHandler(api http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return server.LoopbackOnly(ownPagesOnly(mux))
}

// ownPagesOnly refuses what browsers say to be for a page of another site. A read
// is asked like a write, which is all that CrossOriginProtection looks at: a
// profile takes half a minute of the server's time, whoever may see the answer.
func ownPagesOnly(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := *r
		asked.Method = http.MethodPost
		if guard.Check(&asked) != nil {
			protocol.WriteProblem(w, r, &protocol.Refusal{
				Status: http.StatusForbidden, Code: protocol.CodeDenied,
				Detail: "this comes from a page of another site: open it by its own address",
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// heapProfileBytes are allocated between two samples, by Go's own default.
const heapProfileBytes = 512 << 10

// serveAdmin answers on addr until stop is called. An empty addr is none.
func serveAdmin(ctx context.Context, addr string, api http.Handler, logger *slog.Logger) (stop func() error, err error) {
	if addr == "" {
		return func() error { return nil }, nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--admin-listen %s: %w", addr, err)
	}
	hs := &http.Server{
		Handler:           adminHandler(api),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	runtime.MemProfileRate = heapProfileBytes
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(ln) }()
	logger.Info("admin ready", "listen", ln.Addr().String())
	return func() error {
		err := hs.Close() // a profile under way is no reason to wait
		if e := <-ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, e)
		}
		return err
	}, nil
}
