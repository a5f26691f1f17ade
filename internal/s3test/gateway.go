// Package s3test runs versitygw, an S3 server over a directory, for tests: real
// conditional writes, checksums, multipart uploads and signatures.
//
// Its program is built by make peers. A test without it fails. A Gateway is
// for one goroutine at a time.
package s3test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/readiness"
)

// What every Gateway takes.
const (
	AccessKey = "streamflow"
	SecretKey = "streamflow-secret"
	Region    = "us-east-1"
)

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
	cmd     *exec.Cmd     // nil while it is stopped
	exited  chan struct{} // closed at its end
	buckets int
}

// Start starts a server on a free port and stops it with the test.
func Start(t testing.TB, secure bool) *Gateway {
	t.Helper()
	g, err := New(t.TempDir(), secure)
	if err == nil {
		err = g.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Kill)
	return g
}

// New returns a Gateway that isn't started yet. Its files lie in dir.
func New(dir string, secure bool) (*Gateway, error) {
	program, err := find("versitygw")
	if err != nil {
		return nil, err
	}
	g := &Gateway{program: program, Dir: filepath.Join(dir, "buckets")}
	if err := os.Mkdir(g.Dir, 0o755); err != nil {
		return nil, err
	}
	if g.address, err = freeAddress(); err != nil {
		return nil, err
	}
	g.Endpoint = "http://" + g.address
	if !secure {
		return g, nil
	}
	cert, key, err := Certificate(dir)
	g.Endpoint, g.CAFile, g.flags = "https://"+g.address, cert, []string{"--cert", cert, "--key", key}
	return g, err
}

// Start starts the server, also again after Kill, on the same port.
func (g *Gateway) Start() error {
	g.log.Reset()
	g.cmd = exec.CommandContext(context.Background(), g.program, append(g.flags,
		"--port", g.address, "--region", Region, "--quiet", "--keep-alive", "posix", g.Dir)...)
	g.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+AccessKey, "ROOT_SECRET_ACCESS_KEY="+SecretKey)
	g.cmd.Stdout, g.cmd.Stderr = &g.log, &g.log
	if err := g.cmd.Start(); err != nil {
		return err
	}
	g.exited = make(chan struct{})
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // killed, or its log says why
		close(exited)
	}(g.cmd, g.exited)
	if err := readiness.Wait(context.Background(), g.Endpoint, g.exited); err != nil {
		g.Kill()
		return fmt.Errorf("versitygw doesn't start: %w\n%s", err, g.log.String())
	}
	return nil
}

// Kill ends the server at once, as a crash would. It may be called again.
func (g *Gateway) Kill() {
	if g.cmd == nil {
		return
	}
	_ = g.cmd.Process.Kill()
	<-g.exited
	g.cmd = nil
}

// NewBucket returns the name of a new, empty bucket.
func (g *Gateway) NewBucket() (string, error) {
	g.buckets++
	name := fmt.Sprintf("bucket%d", g.buckets)
	return name, os.Mkdir(filepath.Join(g.Dir, name), 0o755)
}

// Options are those that a store over the server needs.
func (g *Gateway) Options(t testing.TB) bucket.Options {
	t.Helper()
	var roots *x509.CertPool // of the system, without TLS
	if g.CAFile != "" {
		pem, err := os.ReadFile(g.CAFile)
		if err != nil {
			t.Fatal(err)
		}
		roots = x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
	}
	return bucket.Options{
		Endpoint: g.Endpoint, Region: Region, RootCAs: roots,
		Credentials: bucket.Credentials{AccessKey: AccessKey, SecretKey: SecretKey},
	}
}

// Path is where the server keeps the object of an s3:// URI.
func (g *Gateway) Path(t testing.TB, uri string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(uri, "s3://")
	if !ok {
		t.Fatalf("location is %q", uri)
	}
	return filepath.Join(g.Dir, filepath.FromSlash(rest))
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

func freeAddress() (string, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
