package interop

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/streamflow/streamflow/internal/readiness"
)

// maxBytes is the largest upload that the servers take.
const maxBytes = 65 * mib

const (
	streamflow = "streamflow"
	tusd       = "tusd"
	tusNode    = "@tus/server"
)

// A product is a server's name and how to start it. Finished uploads lie in
// dir, each under the last part of its URL.
type product struct {
	name    string
	command func(ctx context.Context, port, dir string) *exec.Cmd
}

var products = []product{
	ours(),
	{tusd, func(ctx context.Context, port, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, bench.tusd, "-host", "127.0.0.1", "-port", port, "-upload-dir", dir,
			"-max-size", strconv.Itoa(maxBytes), "-show-greeting=false")
	}},
	{tusNode, func(ctx context.Context, port, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, "node", filepath.Join(bench.peers, "tus-server.mjs"), port, dir, strconv.Itoa(maxBytes))
	}},
}

// ours is streamflow with more flags.
func ours(flags ...string) product {
	return product{streamflow, func(ctx context.Context, port, dir string) *exec.Cmd {
		return exec.CommandContext(ctx, bench.streamflow, append([]string{
			"serve", "--listen", "127.0.0.1:" + port, "--store", dir,
			"--max-file-size", strconv.Itoa(maxBytes),
		}, flags...)...)
	}}
}

// A server is one that runs, and can be killed and started again.
type server struct {
	product
	port, dir string
	cmd       *exec.Cmd
	ended     chan struct{} // closed at the end of cmd
	log       bytes.Buffer
}

func startServer(t *testing.T, p product) *server {
	t.Helper()
	s := &server{product: p, port: freePort(t), dir: t.TempDir()}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("%s said last: %s", s.name, s.log.Bytes()[max(0, s.log.Len()-4000):])
		}
	})
	return s
}

// Ports for servers that are killed and started again: below those that systems
// give to connections, so that none has taken it meanwhile.
const firstPort, lastPort = 12_000, 32_000

var lastTaken atomic.Int64

// freePort returns a port that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.FormatInt(firstPort+(int64(os.Getpid())*64+lastTaken.Add(1))%(lastPort-firstPort), 10)
		listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return port
	}
	t.Fatal("no port is free")
	return ""
}

func (s *server) address() string { return "127.0.0.1:" + s.port }

// start returns when the server answers.
func (s *server) start() error {
	s.cmd = s.command(context.Background(), s.port, s.dir)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // killed, or its log says why
		close(ended)
	}(s.cmd, s.ended)
	if err := readiness.Wait(context.Background(), "http://"+s.address(), s.ended); err != nil {
		s.kill()
		return fmt.Errorf("start %s: %w: %s", s.name, err, s.log.String())
	}
	return nil
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// file is where the finished upload at url lies.
func (s *server) file(url string) string {
	id, _, _ := strings.Cut(path.Base(url), "?")
	return filepath.Join(s.dir, id)
}

// holds says whether the upload at url has exactly the bytes of a file.
func (s *server) holds(url, file string) error {
	got, err := os.ReadFile(s.file(url))
	if err != nil {
		return fmt.Errorf("read what was stored: %w", err)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what was sent: %w", err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("stored %d bytes, which differ from the %d sent", len(got), len(want))
	}
	return nil
}
