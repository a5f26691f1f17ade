package server_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
)

func gzipped(s string) *bytes.Buffer {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(s))
	_ = w.Close() // into memory: neither fails
	return &b
}

func TestGzipIsAnnounced(t *testing.T) {
	r := newRig(t, nil)
	for _, method := range []string{"OPTIONS", "PATCH"} { // as an answer to a coding it doesn't know
		resp, _ := r.do(method, r.create("Upload-Length", "1"), nil, "Content-Type", tus.ContentType, "Upload-Offset", "0", "Content-Encoding", "zstd")
		if got := resp.Header.Get("Accept-Encoding"); got != "gzip" {
			t.Errorf("%s %s: Accept-Encoding is %q", method, resp.Status, got)
		}
	}
}

// Little that becomes much is not taken, and what came before stays usable.
func TestGzipBomb(t *testing.T) {
	r := newRig(t, nil)
	const size = 64 << 20
	bomb := gzipped(strings.Repeat("\x00", size))
	sent := bomb.Len()
	path := r.create("Upload-Defer-Length", "1")
	resp, text := r.patch(path, "0", bomb, "Content-Encoding", "gzip")
	r.wantProblem(resp, text, http.StatusRequestEntityTooLarge, "INVALID_FILE")
	offset, err := strconv.Atoi(r.offset(path))
	r.must(err)
	if offset > 1<<20+256*sent {
		t.Errorf("%d bytes became %d", sent, offset)
	}
	if resp, text := r.patch(path, strconv.Itoa(offset), strings.NewReader("x")); resp.StatusCode != http.StatusNoContent {
		t.Errorf("afterwards: %s %s", resp.Status, text)
	}
}

func TestGzipWithoutMemory(t *testing.T) {
	r := newRig(t, &server.Options{MemoryTimeout: 50 * time.Millisecond})
	path := r.create("Upload-Length", "10")
	release := r.hog()
	resp, text := r.patch(path, "0", gzipped("0123456789"), "Content-Encoding", "gzip")
	r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
	if got := resp.Header.Get("Upload-Offset"); got != "0" {
		t.Errorf("Upload-Offset is %q", got)
	}
	release()
	r.patch(path, "0", gzipped("0123456789"), "Content-Encoding", "gzip")
	if got := r.content(path); string(got) != "0123456789" {
		t.Errorf("stored %q", got)
	}
}
