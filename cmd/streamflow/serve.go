package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/server"
)

const (
	serveLong = `Run a server that takes uploads and keeps them in a directory, or in an S3 bucket
that it shares with other nodes.

It takes them by tus 1.0, by Resumable Uploads for HTTP, and as plain PUT, which
is what curl -T sends. It prints the URL for uploads when it is ready. Others than
programs of this machine get in once there are tokens or keys.

On SIGTERM or SIGINT it takes nothing new, brings what is under way to a safe
offset, and ends; nothing acknowledged is lost. On SIGHUP it reads tokens, keys
and certificates again.

Open that URL in a browser for a page that uploads files and shows the memory in
use. At the same address are /healthz, /readyz, /metrics and /api/v1. Profiles
(/debug/pprof/), the ids of uploads and the cleanup of memory are at
--admin-listen, which only programs of this machine reach.`

	serveExample = `  streamflow serve
  streamflow serve --store /srv/uploads --max-memory auto --max-file-size 20GiB
  streamflow serve --listen 0.0.0.0:8443 --token-file tokens --tls-cert cert.pem --tls-key key.pem
  streamflow serve --listen 127.0.0.1:0 --ready-file url.txt
  streamflow serve --store s3://uploads/incoming --s3-region eu-central-1
  streamflow serve --config serve.toml`
)

type serveFlags struct {
	memory          memoryFlags
	auth            authFlags
	policy          policyFlags
	hook            hookFlags
	tls             tlsFlags
	site            siteFlags
	listen          string
	adminListen     string
	store           storeFlags
	basePath        string
	readyFile       string
	allowReading    bool
	minRate         byteRate
	shutdownTimeout time.Duration
	logLevel        logLevel
}

func newServeCommand() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:                   "serve [flags]",
		Short:                 "Run the upload server",
		Long:                  serveLong,
		Example:               serveExample,
		Args:                  noArguments,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
		DisableFlagsInUseLine: true,
	}
	addFlags(cmd, f.group(), f.store.s3.group(), f.auth.group(), f.tls.group(), f.site.group(), f.policy.group(), f.hook.group(), f.memory.group())
	return cmd
}

func (f *serveFlags) group() flagGroup {
	f.minRate = 32
	g := newFlagGroup("Server")
	g.flags.StringVar(&f.listen, "listen", "127.0.0.1:8080", "`HOST:PORT` to listen on; port 0 takes a free one")
	g.flags.StringVar(&f.basePath, "base-path", "/files/", "`PATH` of the uploads in their URL")
	f.store.add(g)
	g.flags.BoolVar(&f.allowReading, "allow-reading", false, "give finished uploads back: to whoever knows their URL or, with tokens, may read them")
	g.flags.Var(&f.minRate, "min-rate", "least that a request must send on average; 0 only ends those that send nothing")
	g.flags.DurationVar(&f.shutdownTimeout, "shutdown-timeout", 30*time.Second, "time that requests under way have to end")
	g.flags.StringVar(&f.readyFile, "ready-file", "", "`FILE` to write the URL to when ready; removed at the end")
	g.flags.StringVar(&f.adminListen, "admin-listen", "", "loopback `HOST:PORT` for those who run the server (default none)")
	g.flags.Var(&f.logLevel, "log-level", "least level that is logged to standard error")
	return g
}

// leastRate is --min-rate in the server's terms, where 0 is the default.
func (f *serveFlags) leastRate() int64 {
	if f.minRate == 0 {
		return -1
	}
	return int64(f.minRate)
}

func (f *serveFlags) check(cmd *cobra.Command) error {
	switch {
	case f.shutdownTimeout <= 0:
		return usagef(cmd, "--shutdown-timeout %v: want more than 0", f.shutdownTimeout)
	case !strings.HasPrefix(f.basePath, "/") || !strings.HasSuffix(f.basePath, "/") || strings.Contains(f.basePath, "//"):
		return usagef(cmd, "--base-path %s: want /, or a path that begins and ends with /", f.basePath)
	}
	if err := f.store.check(cmd); err != nil {
		return err
	}
	if err := f.hook.check(cmd, f.store.outbox()); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(f.listen)
	if err != nil {
		return usagef(cmd, "--listen %s: want HOST:PORT: %w", f.listen, err)
	}
	if err := errors.Join(f.auth.check(cmd, f.listen, host), f.tls.check(cmd), f.site.check(cmd)); err != nil {
		return err
	}
	if err := f.policy.check(cmd, f.store.bucket != ""); err != nil {
		return err
	}
	if f.adminListen == "" {
		return nil
	}
	if host, _, err = net.SplitHostPort(f.adminListen); err != nil {
		return usagef(cmd, "--admin-listen %s: want HOST:PORT: %w", f.adminListen, err)
	}
	if !isLoopback(host) {
		return usagef(cmd, "--admin-listen %s: want a loopback address: there is no password", f.adminListen)
	}
	return nil
}

func (f *serveFlags) run(cmd *cobra.Command) (err error) {
	if err := f.check(cmd); err != nil {
		return err
	}
	stderr := cmd.ErrOrStderr()
	logger := f.memory.logger(stderr, f.logLevel)
	process, err := f.memory.open(cmd, logger)
	if err != nil {
		return err
	}
	defer closing(&err, process)
	defer cleanUpOnSignal(process.Manager(), stderr)()
	st, err := f.store.open(cmd.Context(), process.Manager(), logger)
	if err != nil {
		return err
	}
	defer closing(&err, st)
	hooks, closeHooks, err := f.hook.open(cmd.Context(), f.store.outbox(), st, process.Manager(), logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeHooks()) }()
	opts := &server.Options{
		BasePath:        f.basePath,
		AllowReading:    f.allowReading,
		MinRate:         f.leastRate(),
		ShutdownTimeout: f.shutdownTimeout,
		Hooks:           hooks,
		Logger:          logger,
	}
	f.policy.apply(opts)
	f.site.apply(opts)
	opts.LoopbackOnly = f.local()
	tokens, err := f.auth.apply(opts, logger)
	if err != nil {
		return err
	}
	certificate, err := f.tls.apply(opts, logger)
	if err != nil {
		return err
	}
	defer reloadOnSignal(append(tokens, certificate...), logger)()
	srv, err := server.New(st, process.Manager(), opts)
	if err != nil {
		return fmt.Errorf("set up the server: %w", err)
	}
	stopAdmin, err := serveAdmin(cmd.Context(), f.adminListen, srv.Admin(), logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopAdmin()) }()
	listener, err := new(net.ListenConfig).Listen(cmd.Context(), f.network(), f.listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", f.listen, err)
	}
	if err := f.announce(cmd.OutOrStdout(), listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	defer f.withdraw(logger)
	logger.Info("ready", "listen", listener.Addr().String(), "store", f.store.at, "memory", f.memory.max.String())
	return f.serve(cmd.Context(), srv, listener, logger)
}

// local reports whether only programs of this machine are meant to get in, which
// a web page that is open on it is not.
func (f *serveFlags) local() bool {
	host, _, _ := net.SplitHostPort(f.listen) // it was checked
	return isLoopback(host) && !f.auth.asked() && len(f.site.proxies.prefixes) == 0 && !f.auth.insecure
}

// serve serves until ctx ends, which is how a server ends well.
func (f *serveFlags) serve(ctx context.Context, srv *server.Server, listener net.Listener, logger *slog.Logger) error {
	stop := context.AfterFunc(ctx, func() {
		logger.Info("shutting down; a second signal ends at once", "timeout", f.shutdownTimeout)
	})
	defer stop()
	err := srv.Serve(ctx, listener)
	if err == nil || errors.Is(err, http.ErrServerClosed) || errors.Is(err, errInterrupted) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// network is of IPv4 only where such an address was given: of 0.0.0.0, Go would
// make all addresses.
func (f *serveFlags) network() string {
	host, _, _ := net.SplitHostPort(f.listen) // it was checked
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is4() {
		return "tcp4"
	}
	return "tcp"
}

// hostOf is where a client on this machine reaches a listener: nobody connects to
// "all addresses".
func hostOf(addr net.Addr) string {
	at, err := netip.ParseAddrPort(addr.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return addr.String()
	}
	host := "localhost"
	if at.Addr().Is4() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(int(at.Port())))
}

// announce tells the URL.
func (f *serveFlags) announce(stdout io.Writer, addr net.Addr) error {
	u := url.URL{Scheme: f.tls.scheme(), Host: hostOf(addr), Path: f.basePath}
	if _, err := fmt.Fprintln(stdout, u.String()); err != nil {
		return fmt.Errorf("print the URL: %w", err)
	}
	if f.readyFile == "" {
		return nil
	}
	if err := writeFile(f.readyFile, u.String()+"\n"); err != nil {
		return fmt.Errorf("write --ready-file: %w", err)
	}
	return nil
}

// writeFile makes the file appear whole, for those who wait for it.
func writeFile(path, text string) error {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return durable.WriteFile(dir, filepath.Base(path), []byte(text), false)
}

// withdraw removes the ready file, which would be wrong from now on.
func (f *serveFlags) withdraw(logger *slog.Logger) {
	if f.readyFile == "" {
		return
	}
	if err := os.Remove(f.readyFile); err != nil {
		logger.Warn("ready file stays", "err", err)
	}
}
