package interop

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Pages of one other origin may use the server, and those of any other not.
const (
	friend   = "http://localhost:3000"
	stranger = "http://localhost:4000"
)

// rights are what a server lets visitors in by.
type rights struct {
	flags []string
	token string // as a client sends it
	key   string // that signs URLs
}

func newRights(t *testing.T) rights {
	t.Helper()
	tokens, keys := filepath.Join(t.TempDir(), "tokens"), filepath.Join(t.TempDir(), "keys")
	secret, err := exec.CommandContext(t.Context(), bench.streamflow, "token", "alice",
		"--scopes", "create,append,delete", "--token-file", tokens).Output()
	if err != nil {
		t.Fatal(err)
	}
	key := rand.Text() + rand.Text()
	if err := os.WriteFile(keys, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	return rights{
		flags: []string{"--token-file", tokens, "--url-key-file", keys, "--cors-origin", friend},
		token: strings.TrimSpace(string(secret)),
		key:   key,
	}
}

func bearing(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// signed is the query of a URL for one upload, as an application in any
// language makes it.
func signed(key string) string {
	grant := fmt.Sprintf(`{"owner":"alice","expires":%d,"nonce":%q}`, time.Now().Add(time.Hour).Unix(), rand.Text())
	payload := base64.RawURLEncoding.EncodeToString([]byte(grant))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(payload))
	return "?grant=" + payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// TestVisitors plays what is different for those who bring a right, or come
// from another site: all they do takes reading and writing of headers.
func TestVisitors(t *testing.T) {
	names := []string{"small", "created with its bytes", "connection cut", "left and taken up again", "terminated"}
	for name, visit := range map[string]func(rights) visitor{
		"token":                          func(r rights) visitor { return visitor{Headers: bearing(r.token)} },
		"signed URL":                     func(r rights) visitor { return visitor{query: signed(r.key)} },
		"token from another origin":      func(r rights) visitor { return visitor{Origin: friend, Headers: bearing(r.token)} },
		"signed URL from another origin": func(r rights) visitor { return visitor{Origin: friend, query: signed(r.key)} },
	} {
		for _, c := range clients {
			if c.name == streamflow || visit(rights{}).Origin != "" && !strings.HasSuffix(c.name, "Chromium") {
				continue
			}
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				rights := newRights(t)
				server := startServer(t, ours(rights.flags...))
				proxy := startProxy(t, server.address())
				for _, play := range plays {
					if !slices.Contains(names, play.name) || play.needs&^c.can != 0 {
						continue
					}
					t.Run(play.name, func(t *testing.T) {
						s := &stage{T: t, client: c, server: server, proxy: proxy, visitor: visit(rights)}
						perform(s, play)
						if s.query != "" && play.name == "small" {
							s.refuse(http.StatusConflict)
						}
					})
				}
			})
		}
	}
}

// TestStrangers has the server refuse those it doesn't know, and keep nothing
// of what they send. A browser hides the status of an answer from a page that
// may not see it.
func TestStrangers(t *testing.T) {
	rights := newRights(t)
	locked, open := ours(rights.flags...), ours()
	for name, c := range map[string]struct {
		product
		visitor
		status int
	}{
		"no token":                      {locked, visitor{}, http.StatusUnauthorized},
		"unknown token":                 {locked, visitor{Headers: bearing("streamflow_unknown")}, http.StatusUnauthorized},
		"URL signed by another":         {locked, visitor{query: signed(rand.Text() + rand.Text())}, http.StatusUnauthorized},
		"page of an unknown origin":     {locked, visitor{Origin: stranger, Headers: bearing(rights.token)}, 0},
		"page where no other may come":  {open, visitor{Origin: friend}, 0},
		"no token, from a known origin": {locked, visitor{Origin: friend}, http.StatusUnauthorized},
	} {
		for _, client := range clients {
			if !strings.HasSuffix(client.name, "Chromium") {
				continue
			}
			t.Run(name+"/"+client.name, func(t *testing.T) {
				t.Parallel()
				server := startServer(t, c.product)
				s := &stage{T: t, client: client, server: server, proxy: startProxy(t, server.address()), visitor: c.visitor}
				before := server.entries(t)
				perform(s, play{name: name, bytes: 11, run: func(*stage) error { return nil }})
				s.refuse(c.status)
				if after := server.entries(t); !slices.Equal(after, before) {
					t.Errorf("the store holds %v, before it held %v", after, before)
				}
			})
		}
	}
}

// refuse sends the job once more, as a client that knows nothing of before, and
// wants it refused.
func (s *stage) refuse(status int) {
	s.Helper()
	s.job.State = filepath.Join(s.TempDir(), "state")
	r, err := s.send(s.job)
	if err == nil || r.Status != status {
		s.Errorf("status %d, want %d: %v", r.Status, status, err)
	}
}

// entries are all that the store has.
func (s *server) entries(t *testing.T) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
