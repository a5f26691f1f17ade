// Package s3test runs versitygw, an S3 server over a directory, for tests: real
// conditional writes, checksums, multipart uploads and signatures.
//
// Its program is built by make peers. A test without it fails. A Gateway is
// for one goroutine at a time.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// What every Gateway takes.
const (
	AccessKey = "streamflow"
	SecretKey = "streamflow-secret"
	Region    = "us-east-1"
)

const patience = 30 * time.Second

// A Gateway is a running server. Its directory needs extended attributes, as
// those of ext4, xfs, btrfs and tmpfs have.
type Gateway struct {
	Endpoint string // http://127.0.0.1:PORT, or https
	// CAFile is the certificate that verifies a server with TLS.
	CAFile string
	// Dir has a directory for each bucket, with a file for each object.
	Dir string

	program string
	address string
	flags   []string
	log     bytes.Buffer
	cmd     *exec.Cmd // nil while it is stopped
	exited  chan error
	buckets int
}

// Start starts a server on a free port and stops it with the test.
func Start(t testing.TB, secure bool) *Gateway {
	t.Helper()
	program, err := find("versitygw")
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{program: program, Dir: t.TempDir(), address: freeAddress(t)}
	g.Endpoint = "http://" + g.address
	if secure {
		cert, key := certificate(t)
		g.Endpoint, g.CAFile, g.flags = "https://"+g.address, cert, []string{"--cert", cert, "--key", key}
	}
	t.Cleanup(g.Kill)
	g.Start(t)
	return g
}

// Start starts the server again after Kill, on the same port.
func (g *Gateway) Start(t testing.TB) {
	t.Helper()
	g.log.Reset()
	g.cmd = exec.CommandContext(context.Background(), g.program, append(g.flags,
		"--port", g.address, "--region", Region, "--quiet", "--keep-alive", "posix", g.Dir)...)
	g.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+AccessKey, "ROOT_SECRET_ACCESS_KEY="+SecretKey)
	g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
	if err := g.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	g.exited = exited
	go func(cmd *exec.Cmd) { exited <- cmd.Wait() }(g.cmd)
	if err := g.listening(t.Context()); err != nil {
		g.Kill()
		t.Fatalf("versitygw doesn't start: %v\n%s", err, g.log.String())
	}
}

// Kill ends the server at once, as a crash would. It may be called again.
func (g *Gateway) Kill() {
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	_ = <-g.exited // killed, or ended before that
	g.cmd = nil
}

// NewBucket returns the name of a new, empty bucket.
func (g *Gateway) NewBucket(t testing.TB) string {
	t.Helper()
	g.buckets++
	name := fmt.Sprintf("bucket%d", g.buckets)
	if err := os.Mkdir(filepath.Join(g.Dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

func (g *Gateway) listening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", g.address)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-g.exited:
			g.exited <- err // for Kill
			return fmt.Errorf("it ended: %w", err)
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// find returns the path of a program in bin/ of this module.
func find(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("the tests run outside their module")
		}
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: make peers builds it", err)
	}
	return path, nil
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}
