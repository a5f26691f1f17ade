package server_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

const urlKey = "0123456789abcdef0123456789abcdef"

// newGrantRig is a server with tokens and signed URLs.
func newGrantRig(t *testing.T) (*rig, *tokenFile) {
	t.Helper()
	opts, tokens := grantOptions(t)
	return newRig(t, opts), tokens
}

func grantOptions(t *testing.T) (*server.Options, *tokenFile) {
	t.Helper()
	tokens, options := newTokenFile(t, map[string]auth.Scopes{"alice": everything, "bob": everything})
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(urlKey), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.OpenKeys(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	options.Keys = keys
	return &server.Options{Auth: options, AllowReading: true}, tokens
}

// signedPath is where the one upload of g can be made.
func (r *rig) signedPath(g auth.Grant) (path, id string) {
	r.Helper()
	if g.Owner == "" {
		g.Owner = "alice"
	}
	if g.Expires == 0 {
		g.Expires = time.Now().Add(time.Hour).Unix()
	}
	u, id, err := g.URL(&url.URL{Path: "/files/"}, []byte(urlKey))
	r.must(err)
	return u.String(), id
}

func (r *rig) want(what string, resp *http.Response, text []byte, status int) {
	r.Helper()
	if resp.StatusCode != status {
		r.Errorf("%s: %s, want %d: %s", what, resp.Status, status, text)
	}
}

// A browser with a signed URL, and nothing else, makes that upload.
func TestSignedURL(t *testing.T) {
	r, tokens := newGrantRig(t)
	path, id := r.signedPath(auth.Grant{MaxBytes: 10, Type: "text/*"})
	resp, text := r.do("POST", path, nil, "Upload-Length", "10", "Upload-Metadata", "filetype dGV4dC9wbGFpbg==")
	r.want("create", resp, text, http.StatusCreated)
	location := resp.Header.Get("Location")
	if !strings.HasPrefix(location, "/files/"+id+"?grant=") {
		t.Fatalf("Location is %s, and the upload %s", location, id)
	}
	// Its answer was lost, so the client begins again: that's the same upload.
	resp, text = r.do("POST", path, nil, "Upload-Length", "10", "Upload-Metadata", "filetype dGV4dC9wbGFpbg==")
	r.want("create again", resp, text, http.StatusCreated)
	if again := resp.Header.Get("Location"); again != location {
		t.Errorf("it began another one, %s", again)
	}
	resp, text = r.patch(location, "0", strings.NewReader("01234"))
	r.want("append", resp, text, http.StatusNoContent)
	resp, text = r.do("HEAD", location, nil)
	r.want("head", resp, text, http.StatusOK)
	if resp.Header.Get("Upload-Offset") != "5" {
		t.Errorf("offset is %s", resp.Header.Get("Upload-Offset"))
	}
	// Now there are bytes, it is used.
	resp, text = r.do("POST", path, nil, "Upload-Length", "10", "Upload-Metadata", "filetype dGV4dC9wbGFpbg==")
	r.wantProblem(resp, text, http.StatusConflict, "GRANT_USED")
	resp, text = r.patch(location, "5", strings.NewReader("56789"))
	r.want("last append", resp, text, http.StatusNoContent)
	// What is finished is the application's: to read, to discard, to replace.
	resp, text = r.do("GET", location, nil)
	r.want("read", resp, text, http.StatusForbidden)
	resp, text = r.do("DELETE", location, nil)
	r.want("delete", resp, text, http.StatusForbidden)
	resp, text = r.do("POST", path, nil, "Upload-Length", "10", "Upload-Metadata", "filetype dGV4dC9wbGFpbg==")
	r.wantProblem(resp, text, http.StatusConflict, "GRANT_USED")
	resp, text = r.do("GET", "/files/"+id, nil, tokens.as("alice")...)
	r.want("read by the owner", resp, text, http.StatusOK)
	resp, text = r.do("GET", "/files/"+id, nil, tokens.as("bob")...)
	r.want("read by another", resp, text, http.StatusNotFound)
}

func TestSignedURLIsForOneUpload(t *testing.T) {
	r, tokens := newGrantRig(t)
	others := r.create(tokens.as("alice", "Upload-Length", "1")...)
	path, id := r.signedPath(auth.Grant{})
	_, query, _ := strings.Cut(path, "?")
	for _, method := range []string{"HEAD", "DELETE"} {
		resp, text := r.do(method, others+"?"+query, nil)
		r.want(method+" of another upload of the owner", resp, text, http.StatusNotFound)
		resp, text = r.do(method, "/files/"+id+"?"+query, nil)
		r.want(method+" before it has begun", resp, text, http.StatusNotFound)
	}
	resp, text := r.patch(others+"?"+query, "0", strings.NewReader("x"))
	r.want("PATCH of another upload of the owner", resp, text, http.StatusNotFound)
	resp, text = r.do("POST", path, nil, "Upload-Concat", "final;"+others)
	r.want("putting together", resp, text, http.StatusForbidden)
	for _, endpoint := range []string{"/metrics", "/api/v1/memory"} {
		resp, text = r.do("GET", endpoint+"?"+query, nil)
		r.want(endpoint, resp, text, http.StatusForbidden)
	}
	// It can be discarded as long as it isn't finished, and made anew then.
	resp, _ = r.do("POST", path, nil, "Upload-Length", "5")
	location := resp.Header.Get("Location")
	resp, text = r.do("DELETE", location, nil)
	r.want("delete", resp, text, http.StatusNoContent)
	resp, text = r.do("POST", path, nil, "Upload-Length", "7")
	r.want("anew", resp, text, http.StatusCreated)
	// Without the signature the id is worth nothing.
	resp, text = r.do("HEAD", "/files/"+id, nil)
	r.want("without the signature", resp, text, http.StatusUnauthorized)
}

func TestSignedURLBounds(t *testing.T) {
	r, _ := newGrantRig(t)
	png := []string{"Upload-Metadata", "filetype aW1hZ2UvcG5n"}
	for name, test := range map[string]struct {
		grant   auth.Grant
		headers []string
		status  int
		code    string
	}{
		"expired":               {auth.Grant{Expires: 1}, []string{"Upload-Length", "1"}, 401, protocol.CodeToken},
		"too long":              {auth.Grant{MaxBytes: 9}, []string{"Upload-Length", "10"}, 413, protocol.CodeFile},
		"as long as may be":     {auth.Grant{MaxBytes: 9}, []string{"Upload-Length", "9"}, 201, ""},
		"of unknown length":     {auth.Grant{MaxBytes: 9}, []string{"Upload-Defer-Length", "1"}, 400, protocol.CodeValidation},
		"unknown and unbounded": {auth.Grant{}, []string{"Upload-Defer-Length", "1"}, 201, ""},
		"the type":              {auth.Grant{Type: "image/png"}, append(png, "Upload-Length", "1"), 201, ""},
		"one of the types":      {auth.Grant{Type: "image/*"}, append(png, "Upload-Length", "1"), 201, ""},
		"another type":          {auth.Grant{Type: "text/plain"}, append(png, "Upload-Length", "1"), 415, protocol.CodeFile},
		"another kind of types": {auth.Grant{Type: "text/*"}, append(png, "Upload-Length", "1"), 415, protocol.CodeFile},
		"no type":               {auth.Grant{Type: "image/*"}, []string{"Upload-Length", "1"}, 415, protocol.CodeFile},
	} {
		t.Run(name, func(t *testing.T) {
			r := *r
			r.T = t
			path, id := r.signedPath(test.grant)
			resp, text := r.do("POST", path, nil, test.headers...)
			r.wantProblem(resp, text, test.status, test.code)
			if _, err := r.files.Stat(t.Context(), id); (err == nil) != (test.status == http.StatusCreated) {
				t.Errorf("afterwards there is %v", err)
			}
		})
	}
}

// Bytes that are refused with the creation don't use the URL up.
func TestSignedURLAfterRefusedBytes(t *testing.T) {
	r, _ := newGrantRig(t)
	path, _ := r.signedPath(auth.Grant{})
	headers := []string{"Upload-Length", "3", "Content-Type", "application/offset+octet-stream", "Upload-Checksum", "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0="}
	resp, text := r.do("POST", path, strings.NewReader("abd"), headers...)
	r.wantProblem(resp, text, protocol.StatusChecksumMismatch, protocol.CodeChecksum)
	resp, text = r.do("POST", path, strings.NewReader("abc"), headers...)
	r.want("once more", resp, text, http.StatusCreated)
}

// Nor does a body that broke off, of a client that can't go on.
func TestSignedURLAfterBrokenBody(t *testing.T) {
	r, _ := newGrantRig(t)
	path, _ := r.signedPath(auth.Grant{})
	conn := r.send("PUT " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
	r.reading()
	r.must(conn.Close())
	for r.server.InFlight() > 0 || r.unfinished() > 0 {
		time.Sleep(time.Millisecond)
	}
	resp, text := r.rufh("PUT", path, strings.NewReader("0123456789"))
	r.want("once more", resp, text, http.StatusCreated)
}

// The connection of a creation hangs, and its client goes on by another: what
// that one hears is stored stays, also once the first has ended.
func TestSignedURLTakenOver(t *testing.T) {
	for name, creation := range map[string]string{
		"tus":  "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 10\r\nContent-Type: " + tus.ContentType + "\r\n\r\n",
		"rufh": "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
	} {
		t.Run(name+" by HEAD", func(t *testing.T) {
			r, _ := newGrantRig(t)
			path, id := r.signedPath(auth.Grant{})
			old := r.send(fmt.Sprintf(creation, path) + "01234")
			r.reading()
			location := strings.Replace(path, "/files/", "/files/"+id, 1)
			resp, text := r.do("HEAD", location, nil)
			r.want("head", resp, text, http.StatusOK)
			offset := resp.Header.Get("Upload-Offset")
			resp, text = r.answer(old)
			r.wantProblem(resp, text, http.StatusConflict, protocol.CodeSuperseded)
			resp, text = r.patch(location, offset, strings.NewReader("0123456789"[atoi(offset):]))
			r.want("append", resp, text, http.StatusNoContent)
			if got := r.content("/files/" + id); string(got) != "0123456789" {
				t.Errorf("stored %q", got)
			}
		})
		t.Run(name+" by the same again", func(t *testing.T) {
			r, _ := newGrantRig(t)
			path, id := r.signedPath(auth.Grant{})
			old := r.send(fmt.Sprintf(creation, path))
			for r.server.InFlight() == 0 {
				time.Sleep(time.Millisecond)
			}
			resp, text := r.answer(r.send(fmt.Sprintf(creation, path) + "0123456789"))
			r.want("again", resp, text, http.StatusCreated)
			resp, text = r.answer(old)
			r.wantProblem(resp, text, http.StatusConflict, protocol.CodeSuperseded)
			if got := r.content("/files/" + id); string(got) != "0123456789" {
				t.Errorf("stored %q", got)
			}
		})
	}
}

// meanwhile is a backend with another request between a look at an upload and
// what comes of it. The next Open returns fails, unless that is nil.
type meanwhile struct {
	backend
	request func()
	fails   error
}

func (m *meanwhile) Stat(ctx context.Context, id string) (store.Info, error) {
	info, err := m.backend.Stat(ctx, id)
	if request := m.request; request != nil && err == nil {
		m.request = nil
		request()
	}
	return info, err
}

func (m *meanwhile) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	if err := m.fails; err != nil {
		m.fails = nil
		return nil, store.Info{}, err
	}
	return m.backend.Open(ctx, id)
}

// What a creation that is made again doesn't find as it was, it leaves alone.
func TestSignedURLOvertaken(t *testing.T) {
	for name, test := range map[string]struct {
		came    string
		again   func(r *rig, path string) (*http.Response, []byte)
		fails   error
		refused int
	}{
		"tus, begun":       {"01234", tusAgain, nil, http.StatusConflict},
		"tus, finished":    {"0123456789", tusAgain, nil, http.StatusConflict},
		"rufh, begun":      {"01234", rufhAgain, nil, http.StatusConflict},
		"rufh, finished":   {"0123456789", rufhAgain, nil, http.StatusBadRequest},
		"tus, not opened":  {"01234", tusAgain, &store.TransientError{Err: errors.New("busy")}, http.StatusServiceUnavailable},
		"rufh, not opened": {"01234", rufhAgain, context.Canceled, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			opts, _ := grantOptions(t)
			files := &meanwhile{}
			r := newRigIn(t, t.TempDir(), opts, func(mem *memory.Manager) (_ backend, err error) {
				files.backend, err = filestore.Open(t.TempDir(), mem, &filestore.Options{ByID: true})
				return files, err
			})
			path, id := r.signedPath(auth.Grant{})
			resp, text := r.do("POST", path, nil, "Upload-Length", "10")
			r.want("create", resp, text, http.StatusCreated)
			location := resp.Header.Get("Location")
			files.request = func() {
				resp, text := r.patch(location, "0", strings.NewReader(test.came))
				r.want("append", resp, text, http.StatusNoContent)
				files.fails = test.fails
			}
			resp, text = test.again(r, path)
			r.want("create again", resp, text, test.refused)
			if info := r.stat("/files/" + id); info.Offset != int64(len(test.came)) || info.Complete != (info.Offset == 10) {
				t.Errorf("then it is %+v", info)
			}
		})
	}
}

func tusAgain(r *rig, path string) (*http.Response, []byte) {
	return r.do("POST", path, strings.NewReader("0123456789"), "Upload-Length", "10", "Content-Type", tus.ContentType)
}

func rufhAgain(r *rig, path string) (*http.Response, []byte) {
	return r.rufh("PUT", path, strings.NewReader("0123456789"))
}

// An upload that is finished while its own URL waits to discard it stays.
func TestSignedURLDiscardsNothingFinished(t *testing.T) {
	r, _ := newGrantRig(t)
	path, id := r.signedPath(auth.Grant{})
	finishing, goOn := make(chan struct{}), make(chan struct{})
	r.server.OnLifecycle(func(list string, _ store.Info) error {
		if list == "finishing" {
			close(finishing)
			<-goOn
		}
		return nil
	})
	resp, text := r.do("POST", path, nil, "Upload-Length", "10")
	r.want("create", resp, text, http.StatusCreated)
	location := resp.Header.Get("Location")
	last := r.half(location, 10, "0123456789")
	<-finishing
	first, deleted := r.server.Turn(id), make(chan int, 1)
	go func() {
		resp, _ := r.do("DELETE", location, nil)
		deleted <- resp.StatusCode
	}()
	for r.server.Turn(id) == first {
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	resp, text = r.answer(last)
	r.want("append", resp, text, http.StatusNoContent)
	if status := <-deleted; status != http.StatusForbidden {
		t.Errorf("DELETE is %d", status)
	}
	if got := r.content("/files/" + id); string(got) != "0123456789" {
		t.Errorf("stored %q", got)
	}
}

// A key that goes takes its URLs along.
func TestSignedURLsNeedTheirKey(t *testing.T) {
	r, _ := newGrantRig(t)
	g := auth.Grant{Owner: "alice", Expires: time.Now().Add(time.Hour).Unix()}
	value, _, err := g.Sign([]byte(strings.Repeat("k", 32)))
	r.must(err)
	resp, text := r.do("POST", "/files/?grant="+value, nil, "Upload-Length", "1")
	r.wantProblem(resp, text, http.StatusUnauthorized, protocol.CodeToken)
	if strings.Contains(string(text), value) || resp.Header.Get("Location") != "" {
		t.Errorf("it tells %s", text)
	}
}
