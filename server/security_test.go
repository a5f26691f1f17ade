package server_test

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
)

// An id is a right, so it has 128 random bits and no two are alike.
func TestIDsAreRandom(t *testing.T) {
	r := newRig(t, nil)
	form := regexp.MustCompile("^/files/[0-9a-f]{32}$")
	seen, bits := map[string]bool{}, map[byte]bool{}
	for range 64 {
		path := r.create("Upload-Length", "1")
		if !form.MatchString(path) || seen[path] {
			t.Fatalf("%s is no new id", path)
		}
		seen[path], bits[path[len(path)-1]] = true, true
	}
	if len(bits) < 8 {
		t.Errorf("the ids end in %d digits only", len(bits))
	}
}

// What is kept with an upload is bounded by the store, and what a request brings by
// the server.
func TestMetadataIsBounded(t *testing.T) {
	r := newRig(t, nil)
	metadata := "x " + base64.StdEncoding.EncodeToString(make([]byte, 40<<10))
	resp, text := r.do("POST", "/files/", nil, "Upload-Length", "1", "Upload-Metadata", metadata)
	r.wantProblem(resp, text, http.StatusBadRequest, protocol.CodeValidation)
	for info, err := range r.files.Unfinished(t.Context(), time.Time{}) {
		t.Errorf("it made %+v, %v", info, err)
	}

	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	r.must(err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(ctx, ln) }()
	r.url = "http://" + ln.Addr().String()
	resp, _ = r.do("POST", "/files/", nil, "Upload-Length", "1", "Upload-Metadata", "x "+strings.Repeat("A", 24<<10))
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("24 KiB of metadata: %s", resp.Status)
	}
	stop()
	r.must(<-served)
}
