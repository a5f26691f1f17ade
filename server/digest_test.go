package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/server"
)

// TestDigestWithoutMemory: the end of an upload that must be read back is put off
// while there is no memory for that.
func TestDigestWithoutMemory(t *testing.T) {
	r := serve(t, 100<<20, server.Options{MemoryTimeout: 50 * time.Millisecond})
	upload := r.begin("01234", "Repr-Digest", sha("0123456789"))
	release := r.hog()
	resp, text := r.append(upload, "5", "?1", strings.NewReader("56789"))
	r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	release()
	if resp, text := r.append(upload, resp.Header.Get("Upload-Offset"), "?1", nil); resp.StatusCode != http.StatusCreated {
		t.Errorf("with memory again: %s %s", resp.Status, text)
	}
}
