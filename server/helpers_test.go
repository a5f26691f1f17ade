package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
	"github.com/streamflow/streamflow/store/filestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A rig is a real server on a real directory, or a real bucket.
type rig struct {
	*testing.T
	files  backend
	dir    string // of files, or of the bucket's prefix
	mem    *memory.Manager
	server *server.Server
	url    string // of the server, without a path
	client *http.Client
}

// A backend is what a server keeps uploads in.
type backend interface {
	store.Store
	store.Lister
	store.Reader
	io.Closer
}

func newRig(t *testing.T, opts *server.Options) *rig {
	t.Helper()
	dir := t.TempDir()
	return newRigIn(t, dir, opts, func(mem *memory.Manager) (backend, error) {
		return filestore.Open(dir, mem, &filestore.Options{ByID: true})
	})
}

// overStores runs a test over a directory and over a bucket.
func overStores(t *testing.T, test func(t *testing.T, newRig func(*testing.T, *server.Options) *rig)) {
	t.Run("directory", func(t *testing.T) { test(t, newRig) })
	t.Run("bucket", func(t *testing.T) {
		gateway := s3test.Start(t, false)
		test(t, func(t *testing.T, opts *server.Options) *rig { return newBucketRig(t, gateway, opts) })
	})
}

func newBucketRig(t *testing.T, g *s3test.Gateway, opts *server.Options) *rig {
	t.Helper()
	name, err := g.NewBucket()
	if err != nil {
		t.Fatal(err)
	}
	return newRigIn(t, filepath.Join(g.Dir, name, "uploads"), opts, func(mem *memory.Manager) (backend, error) {
		at := g.Options(t)
		return clusterstore.Open(name, "uploads", mem, &at)
	})
}

func newRigIn(t *testing.T, dir string, opts *server.Options, open func(*memory.Manager) (backend, error)) *rig {
	t.Helper()
	mem, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	files, err := open(mem)
	if err != nil {
		t.Fatal(err)
	}
	// Cleanups run last in, first out: the requests are over when it is looked
	// at what they left.
	t.Cleanup(func() {
		if held := mem.Stats().Active; held != 0 {
			t.Errorf("%d resources were not released", held)
		}
		if err := errors.Join(files.Close(), mem.Close()); err != nil {
			t.Error(err)
		}
	})
	r := newRigOver(t, files, mem, opts)
	r.files, r.dir = files, dir
	return r
}

func newRigOver(t *testing.T, st store.Store, mem *memory.Manager, opts *server.Options) *rig {
	t.Helper()
	srv, err := server.New(st, mem, opts)
	if err != nil {
		t.Fatal(err)
	}
	hs := httptest.NewServer(srv)
	// Of its own: whoever closes idle connections breaks those that others dial.
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	r := &rig{T: t, mem: mem, server: srv, url: hs.URL, client: client}
	t.Cleanup(hs.Close)
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// do makes a tus request. Headers are pairs; an empty value leaves one out. A
// body that is trailed has its checksum behind it.
func (r *rig) do(method, path string, body io.Reader, headers ...string) (*http.Response, []byte) {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.url+path, body)
	r.must(err)
	req.Header.Set(tus.HeaderResumable, tus.Version)
	if b, ok := body.(trailed); ok {
		req.Trailer = http.Header{tus.HeaderChecksum: {b.checksum}}
	}
	for i := 0; i < len(headers); i += 2 {
		switch {
		case headers[i+1] == "":
			req.Header.Del(headers[i])
		default:
			req.Header.Add(headers[i], headers[i+1])
		}
	}
	resp, err := r.client.Do(req)
	r.must(err)
	text, err := io.ReadAll(resp.Body)
	r.must(err)
	r.must(resp.Body.Close())
	return resp, text
}

// create makes an upload and returns its path.
func (r *rig) create(headers ...string) string {
	r.Helper()
	resp, text := r.do("POST", "/files/", nil, headers...)
	if resp.StatusCode != http.StatusCreated {
		r.Fatalf("create: %s %s", resp.Status, text)
	}
	return resp.Header.Get("Location")
}

func (r *rig) patch(path, offset string, body io.Reader, headers ...string) (*http.Response, []byte) {
	r.Helper()
	return r.do("PATCH", path, body, append([]string{"Content-Type", tus.ContentType, "Upload-Offset", offset}, headers...)...)
}

// content of a finished upload, as it lies on disk.
func (r *rig) content(path string) []byte {
	r.Helper()
	info := r.stat(path)
	if !info.Complete {
		r.Fatalf("%s is not complete: %+v", path, info)
	}
	b, err := os.ReadFile(filepath.Join(r.dir, filepath.Base(info.Location)))
	r.must(err)
	return b
}

func (r *rig) stat(path string) store.Info {
	r.Helper()
	info, err := r.files.Stat(r.Context(), path[strings.LastIndexByte(path, '/')+1:])
	r.must(err)
	return info
}

func (r *rig) offset(path string) string {
	r.Helper()
	resp, _ := r.do("HEAD", path, nil)
	return resp.Header.Get("Upload-Offset")
}

// wantProblem checks the body of an error.
func (r *rig) wantProblem(resp *http.Response, text []byte, status int, code string) {
	r.Helper()
	if resp.StatusCode != status {
		r.Errorf("status is %d, want %d: %s", resp.StatusCode, status, text)
	}
	if code == "" || resp.Request.Method == "HEAD" {
		return
	}
	var p protocol.Problem
	if err := json.Unmarshal(text, &p); err != nil || resp.Header.Get("Content-Type") != protocol.ProblemType {
		r.Fatalf("%s is no problem: %s", resp.Header.Get("Content-Type"), text)
	}
	if p.Code != code || p.Status != status || p.Title == "" || p.Type == "" || p.Detail == "" {
		r.Errorf("problem is %s, want code %s", text, code)
	}
}

func chunked(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }

func sequence(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }
