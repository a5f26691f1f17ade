package server_test

import (
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
)

// A tokenFile is a file of tokens, each known by a name, which is its owner up
// to the first slash.
type tokenFile struct {
	*testing.T
	path    string
	secrets map[string]string
}

func newTokenFile(t *testing.T, scopes map[string]auth.Scopes) (*tokenFile, *auth.Options) {
	t.Helper()
	f := &tokenFile{t, filepath.Join(t.TempDir(), "tokens"), map[string]string{}}
	var lines strings.Builder
	for name, s := range scopes {
		owner, _, _ := strings.Cut(name, "/")
		token, secret, err := auth.NewToken(owner, s, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		f.secrets[name] = secret
		lines.WriteString(token.String() + "\n")
	}
	if err := os.WriteFile(f.path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.OpenTokens(f.path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return f, &auth.Options{Tokens: tokens}
}

// as returns the header by which name is authenticated.
func (f *tokenFile) as(name string, headers ...string) []string {
	f.Helper()
	secret := f.secrets[name]
	if secret == "" {
		f.Fatalf("%s has no token", name)
	}
	return append([]string{"Authorization", "Bearer " + secret}, headers...)
}

const everything = auth.Create | auth.Append | auth.Read | auth.Delete

func TestOwners(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{
		"alice": everything, "alice/create": auth.Create, "alice/append": auth.Append, "alice/read": auth.Read,
		"alice/delete": auth.Delete, "bob": everything, "root": auth.Admin,
	})
	r := newRig(t, &server.Options{Auth: options})
	begin := func() string {
		t.Helper()
		path := r.create(tokens.as("alice", "Upload-Length", "10")...)
		resp, text := r.patch(path, "0", strings.NewReader("01234"), tokens.as("alice")...)
		if resp.StatusCode != http.StatusNoContent {
			t.Fatalf("append: %s %s", resp.Status, text)
		}
		return path
	}
	const notFound, denied, unauthorized = http.StatusNotFound, http.StatusForbidden, http.StatusUnauthorized
	for name, test := range map[string]struct {
		who                   string
		create, head, append_ int
		delete                int
	}{
		"the owner":         {"alice", 201, 200, 204, 204},
		"somebody else":     {"bob", 201, notFound, notFound, notFound},
		"an administrator":  {"root", 201, 200, 204, 204},
		"only with create":  {"alice/create", 201, denied, denied, denied},
		"only with append":  {"alice/append", denied, 200, 204, denied},
		"only with read":    {"alice/read", denied, 200, denied, denied},
		"only with delete":  {"alice/delete", denied, denied, denied, 204},
		"without any token": {"", unauthorized, unauthorized, unauthorized, unauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			r, path := *r, begin()
			r.T = t
			var as []string
			if test.who != "" {
				as = tokens.as(test.who)
			}
			want := func(what string, resp *http.Response, status int) {
				t.Helper()
				if resp.StatusCode != status {
					t.Errorf("%s: %s, want %d", what, resp.Status, status)
				}
			}
			resp, _ := r.do("POST", "/files/", nil, append([]string{"Upload-Length", "1"}, as...)...)
			want("create", resp, test.create)
			resp, _ = r.do("HEAD", path, nil, as...)
			want("head", resp, test.head)
			if resp.StatusCode != http.StatusOK && resp.Header.Get("Upload-Offset") != "" {
				t.Error("it tells the offset")
			}
			resp, _ = r.patch(path, "5", strings.NewReader("5"), as...)
			want("append", resp, test.append_)
			resp, _ = r.do("DELETE", path, nil, as...)
			want("delete", resp, test.delete)
			if test.delete != http.StatusNoContent {
				if offset := r.stat(path).Offset; offset != 5 && test.append_ != http.StatusNoContent {
					t.Errorf("a refused request moved it to %d", offset)
				}
			}
		})
	}
}

// What is given back is for those who may read, and own it.
func TestReadersAndOwners(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{
		"alice": everything, "alice/append": auth.Append, "bob": everything, "root": auth.Admin,
	})
	r := newRig(t, &server.Options{Auth: options, AllowReading: true})
	whole := r.create(tokens.as("alice", "Upload-Length", "0")...)
	half := r.create(tokens.as("alice", "Upload-Length", "1")...)
	for who, want := range map[string]int{"alice": 200, "alice/append": 403, "bob": 404, "root": 200} {
		if resp, _ := r.do("GET", whole, nil, tokens.as(who)...); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", who, resp.Status, want)
		}
	}
	if resp, _ := r.do("GET", whole, nil); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: %s", resp.Status)
	}
	resp, text := r.do("GET", half, nil, tokens.as("bob")...)
	r.wantProblem(resp, text, http.StatusNotFound, protocol.CodeNotFound) // and not that it's unfinished
}

// A stranger who knows the URL of an upload doesn't end the request under way.
func TestStrangerDisturbsNobody(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{"alice": everything, "bob": everything})
	r := newRig(t, &server.Options{Auth: options})
	path := r.create(tokens.as("alice", "Upload-Length", "4")...)
	sent, body := io.Pipe()
	answered := make(chan int, 1)
	go func() {
		resp, _ := r.patch(path, "0", sent, tokens.as("alice")...)
		answered <- resp.StatusCode
	}()
	_, err := body.Write([]byte("ab"))
	r.must(err)
	r.reading()
	for _, method := range []string{"HEAD", "DELETE"} {
		if resp, _ := r.do(method, path, nil, tokens.as("bob")...); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
	if resp, _ := r.patch(path, "0", strings.NewReader("evil"), tokens.as("bob")...); resp.StatusCode != http.StatusNotFound {
		t.Errorf("PATCH: %s", resp.Status)
	}
	_, err = body.Write([]byte("cd"))
	r.must(err)
	r.must(body.Close())
	if status := <-answered; status != http.StatusNoContent {
		t.Errorf("the owner's request was answered with %d", status)
	}
	if got := string(r.content(path)); got != "abcd" {
		t.Errorf("content is %q", got)
	}
}

func TestOwnersOfParts(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{"alice": everything, "bob": everything})
	r := newRig(t, &server.Options{Auth: options})
	path := r.create(tokens.as("alice", "Upload-Length", "0", "Upload-Concat", "partial")...)
	resp, foreign := r.do("POST", "/files/", nil, tokens.as("bob", "Upload-Concat", "final;"+path)...)
	r.wantProblem(resp, foreign, http.StatusBadRequest, protocol.CodeValidation)
	missing := path[:len(path)-32] + strings.Repeat("0", 32)
	resp, none := r.do("POST", "/files/", nil, tokens.as("bob", "Upload-Concat", "final;"+missing)...)
	r.wantProblem(resp, none, http.StatusBadRequest, protocol.CodeValidation)
	if a, b := strings.ReplaceAll(string(foreign), path[7:], ""), strings.ReplaceAll(string(none), missing[7:], ""); a != b {
		t.Errorf("it tells that the upload is there: %s, %s", a, b)
	}
	r.create(tokens.as("alice", "Upload-Concat", "final;"+path)...)
}

// The owner is kept with the upload, and never shown nor set by a client.
func TestOwnerIsHidden(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{"alice": everything})
	r := newRig(t, &server.Options{Auth: options})
	path := r.create(tokens.as("alice", "Upload-Length", "1", "Upload-Metadata", "filename YQ==")...)
	if got := r.stat(path).Metadata["streamflow owner"]; got != "alice" {
		t.Errorf("owner is %q", got)
	}
	resp, _ := r.do("HEAD", path, nil, tokens.as("alice")...)
	if got := resp.Header.Get("Upload-Metadata"); got != "filename YQ==" {
		t.Errorf("metadata is %q", got)
	}
	resp, text := r.do("POST", "/files/", nil, tokens.as("alice", "Upload-Length", "1", "Upload-Metadata", "streamflow owner Ym9i")...)
	r.wantProblem(resp, text, http.StatusBadRequest, protocol.CodeValidation)
}

// Bytes that are refused with the creation take the upload along, whatever the
// scopes of who sent them.
func TestWithdrawWithoutDelete(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{"alice": auth.Create | auth.Append, "alice/create": auth.Create})
	r := newRig(t, &server.Options{Auth: options})
	resp, text := r.do("POST", "/files/", strings.NewReader("abd"), tokens.as("alice", "Upload-Length", "3",
		"Content-Type", "application/offset+octet-stream", "Upload-Checksum", "sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=")...)
	r.wantProblem(resp, text, protocol.StatusChecksumMismatch, protocol.CodeChecksum)
	resp, text = r.do("POST", "/files/", strings.NewReader("abc"), tokens.as("alice/create", "Upload-Length", "3",
		"Content-Type", "application/offset+octet-stream")...)
	r.wantProblem(resp, text, http.StatusForbidden, protocol.CodeDenied)
	for info, err := range r.files.Unfinished(t.Context(), time.Time{}) {
		t.Errorf("an upload stays: %+v, %v", info, err)
	}
}

func TestEndpointsWithTokens(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{"alice": auth.Append, "root": auth.Admin})
	r := newRig(t, &server.Options{Auth: options})
	for path, want := range map[string][3]int{ // nobody, alice, root
		"/":               {200, 200, 200},
		"/healthz":        {200, 200, 200},
		"/readyz":         {200, 200, 200},
		"/metrics":        {401, 403, 200},
		"/api/v1/uploads": {401, 403, 200},
		"/api/v1/memory":  {401, 200, 200},
		"/nowhere":        {404, 404, 404},
	} {
		for i, as := range [][]string{nil, tokens.as("alice"), tokens.as("root")} {
			resp, text := r.do("GET", path, nil, as...)
			if resp.StatusCode != want[i] {
				t.Errorf("%s as %d: %s, want %d: %s", path, i, resp.Status, want[i], text)
			}
		}
	}
	resp, _ := r.do("OPTIONS", "/files/", nil)
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("OPTIONS: %s", resp.Status)
	}
	resp, text := r.do("POST", "/files/", nil, "Upload-Length", "1")
	r.wantProblem(resp, text, http.StatusUnauthorized, protocol.CodeToken)
	if resp.Header.Get("WWW-Authenticate") == "" || resp.Header.Get("Tus-Resumable") == "" {
		t.Errorf("headers are %v", resp.Header)
	}
}

// Neither the log nor an answer tells a token, whatever became of it.
func TestTokensAreNotLogged(t *testing.T) {
	tokens, options := newTokenFile(t, map[string]auth.Scopes{"alice": everything})
	var log syncBuffer
	r := newRig(t, &server.Options{Auth: options, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	path := r.create(tokens.as("alice", "Upload-Length", "1")...)
	r.do("HEAD", path+"?token="+tokens.secrets["alice"], nil, tokens.as("alice")...)
	wrong := "wrong-" + tokens.secrets["alice"]
	_, text := r.do("HEAD", path, nil, "Authorization", "Bearer "+wrong)
	for _, said := range []string{log.String(), string(text)} {
		if strings.Contains(said, tokens.secrets["alice"]) {
			t.Errorf("it tells a token: %s", said)
		}
	}
	if !strings.Contains(log.String(), "status=401") {
		t.Errorf("the log has no refusal: %s", log.String())
	}
}
