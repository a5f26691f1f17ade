package server_test

import (
	"encoding/base64"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/server"
)

// What comes with a content coding is stored as it is, and read with the coding.
func TestDownloadOfEncodedUpload(t *testing.T) { overStores(t, downloadOfEncodedUpload) }

func downloadOfEncodedUpload(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, &server.Options{AllowReading: true})
	plain := strings.Repeat("0123456789", 1000)
	coded := gzipped(plain).String()
	resp, text := r.rufh("PUT", "/files/a.txt", strings.NewReader(coded), "Content-Encoding", "GZIP", "Content-Type", "text/plain")
	r.want("PUT", resp, text, http.StatusCreated)
	path := resp.Header.Get("Location")
	if got := string(r.content(path)); got != coded {
		t.Errorf("stored %d bytes, want the %d in gzip", len(got), len(coded))
	}
	for _, method := range []string{"GET", "HEAD"} {
		resp, text = r.rufh(method, path, nil, "Accept-Encoding", "gzip")
		if h := resp.Header; h.Get("Content-Encoding") != "gzip" || h.Get("Content-Type") != "text/plain" || h.Get("Content-Length") != strconv.Itoa(len(coded)) {
			t.Errorf("%s: header is %v", method, h)
		}
		if method == "GET" && string(text) != coded {
			t.Errorf("read %d bytes, want the %d in gzip", len(text), len(coded))
		}
	}
	if resp, text = r.rufh("GET", path, nil, "Accept-Encoding", "gzip", "Range", "bytes=2-4"); resp.StatusCode != http.StatusPartialContent || string(text) != coded[2:5] {
		t.Errorf("range: %s %q", resp.Status, text)
	}
	resp, text = r.rufh("GET", path, nil, "Accept-Encoding", "gzip", "If-Match", `"x"`)
	if r.want("other tag", resp, text, http.StatusPreconditionFailed); resp.Header.Get("Content-Encoding") != "" && len(text) > 0 {
		t.Errorf("an error is encoded: %v", resp.Header)
	}
	// A client that decodes by itself, as browsers do, has the file as it was.
	if got := r.curl("--compressed", r.url+path); got != plain {
		t.Errorf("decoded %d bytes, want %d", len(got), len(plain))
	}

	resp, text = r.rufh("PUT", "/files/b.txt", strings.NewReader("x"), "Content-Encoding", "gz\xfcp")
	r.wantProblem(resp, text, http.StatusBadRequest, "VALIDATION_ERROR")
	resp, _ = r.rufh("PUT", "/files/c.txt", strings.NewReader("x"), "Content-Encoding", "identity")
	if resp, text = r.get(resp.Header.Get("Location")); resp.Header.Get("Content-Encoding") != "" || string(text) != "x" {
		t.Errorf("identity: header is %v", resp.Header)
	}
}

func TestDownload(t *testing.T) { overStores(t, download) }

func download(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, &server.Options{AllowReading: true})
	finished := r.upload("0123456789", "Upload-Length", "10", "Upload-Metadata", "filename YS50eHQ=,filetype dGV4dC9wbGFpbg==")
	first, _ := r.do("GET", finished, nil, "Tus-Resumable", "")
	for name, c := range map[string]struct {
		method, path string
		headers      []string
		status       int
		body         string // of a success
		code         string
		want         http.Header
	}{
		"whole": {
			method: "GET", path: finished, status: 200, body: "0123456789",
			want: http.Header{
				"Content-Length": {"10"}, "Content-Type": {"text/plain"}, "Content-Disposition": {"attachment; filename=a.txt"},
				"X-Content-Type-Options": {"nosniff"}, "Content-Security-Policy": {"sandbox; default-src 'none'"},
				"Accept-Ranges": {"bytes"}, "Repr-Digest": {""},
			},
		},
		"by a tus client":     {method: "GET", path: finished, headers: []string{"Tus-Resumable", "1.0.0"}, status: 200, body: "0123456789"},
		"with a digest":       {method: "GET", path: finished, headers: []string{"Want-Repr-Digest", "crc32c=5"}, status: 200, body: "0123456789", want: http.Header{"Repr-Digest": {"crc32c=:KAwGng==:"}}},
		"range":               {method: "GET", path: finished, headers: []string{"Range", "bytes=3-5"}, status: 206, body: "345", want: http.Header{"Content-Range": {"bytes 3-5/10"}}},
		"range to the end":    {method: "GET", path: finished, headers: []string{"Range", "bytes=-2"}, status: 206, body: "89"},
		"range of the same":   {method: "GET", path: finished, headers: []string{"Range", "bytes=8-", "If-Range", first.Header.Get("ETag")}, status: 206, body: "89"},
		"range of another":    {method: "GET", path: finished, headers: []string{"Range", "bytes=8-", "If-Range", `"x"`}, status: 200, body: "0123456789"},
		"range beyond":        {method: "GET", path: finished, headers: []string{"Range", "bytes=10-"}, status: 416, code: "RANGE_NOT_SATISFIABLE", want: http.Header{"Content-Range": {"bytes */10"}}},
		"range of letters":    {method: "GET", path: finished, headers: []string{"Range", "bytes=a-b"}, status: 416, code: "RANGE_NOT_SATISFIABLE"},
		"known by its tag":    {method: "GET", path: finished, headers: []string{"If-None-Match", first.Header.Get("ETag")}, status: 304},
		"known by its time":   {method: "GET", path: finished, headers: []string{"If-Modified-Since", first.Header.Get("Last-Modified")}, status: 304},
		"half an upload":      {method: "GET", path: r.upload("01234", "Upload-Length", "10"), status: 404, code: "UNFINISHED"},
		"of unknown length":   {method: "GET", path: r.upload("01234", "Upload-Defer-Length", "1"), status: 404, code: "UNFINISHED"},
		"partial upload":      {method: "GET", path: r.make("{whole}"), status: 404, code: "UNFINISHED"},
		"empty upload":        {method: "GET", path: r.create("Upload-Length", "0"), status: 200},
		"unknown upload":      {method: "GET", path: "/files/0123456789abcdef0123456789abcdef", status: 404, code: "NOT_FOUND"},
		"outside":             {method: "GET", path: "/files/..%2f..%2fetc%2fpasswd", status: 404, code: "NOT_FOUND"},
		"below an upload":     {method: "GET", path: finished + "/x", status: 404, code: "NOT_FOUND"},
		"all uploads at once": {method: "GET", path: "/files/", status: 405, code: "METHOD_NOT_ALLOWED"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, text := r.do(c.method, c.path, nil, append([]string{"Tus-Resumable", ""}, c.headers...)...)
			r.wantProblem(resp, text, c.status, c.code)
			if c.code == "" && string(text) != c.body {
				t.Errorf("read %q", text)
			}
			for name := range c.want {
				if got := resp.Header.Get(name); got != c.want.Get(name) {
					t.Errorf("%s is %q, want %q", name, got, c.want.Get(name))
				}
			}
		})
	}
}

// Whatever an uploader writes into name and type, the answer stays one file to
// keep.
func TestDownloadNames(t *testing.T) {
	r := newRig(t, &server.Options{AllowReading: true})
	for name, c := range map[string]struct {
		filename, filetype string
		saved, served      string // saved "" is the id
	}{
		"plain":            {"report 1.pdf", "application/pdf", "report 1.pdf", "application/pdf"},
		"beyond ASCII":     {"Überblick 日本.txt", "", "Überblick 日本.txt", "application/octet-stream"},
		"quotes":           {`a"b\c;d=e.txt`, "", `c;d=e.txt`, "application/octet-stream"},
		"line breaks":      {"a\r\nSet-Cookie: x=1\r\n\r\n<script>", "text/html\r\nX: y", "aSet-Cookie: x=1<script>", "application/octet-stream"},
		"path":             {"../../etc/passwd", "text/html", "passwd", "text/html"},
		"only dots":        {"..", "", "", "application/octet-stream"},
		"nothing":          {"", "", "", "application/octet-stream"},
		"turned around":    {"a\u202egpj.exe", "image/jpeg; q=\"\x01\"", "agpj.exe", "image/jpeg; q*=utf-8''%01"},
		"no UTF-8":         {"a\xff.bin", "nonsense", "a.bin", "nonsense"},
		"two types":        {"a", "text/html, text/plain", "a", "application/octet-stream"},
		"type with a rest": {"a", "text/html; charset=utf-8", "a", "text/html; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			encode := base64.StdEncoding.EncodeToString
			path := r.upload("x", "Upload-Length", "1", "Upload-Metadata",
				"filename "+encode([]byte(c.filename))+",filetype "+encode([]byte(c.filetype)))
			resp, _ := r.do("GET", path, nil)
			disposition, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
			if c.saved == "" {
				c.saved = filepath.Base(path)
			}
			if err != nil || disposition != "attachment" || params["filename"] != c.saved {
				t.Errorf("%s: %v", resp.Header.Get("Content-Disposition"), err)
			}
			if got := resp.Header.Get("Content-Type"); got != c.served || resp.Header.Get("Set-Cookie") != "" {
				t.Errorf("headers are %v", resp.Header)
			}
		})
	}
}

func TestNothingIsReadUnlessAllowed(t *testing.T) {
	r := newRig(t, nil)
	path := r.upload("secret", "Upload-Length", "6")
	resp, text := r.do("GET", path, nil)
	r.wantProblem(resp, text, 405, "METHOD_NOT_ALLOWED")
	inner := newRig(t, nil)
	if _, err := server.New(plain{inner.files}, inner.mem, &server.Options{AllowReading: true}); err == nil {
		t.Error("a store that can't be read is to be read")
	}
}

// A link in place of the file must not lead anywhere.
func TestDownloadFollowsNoLink(t *testing.T) {
	r := newRig(t, &server.Options{AllowReading: true})
	path := r.upload("mine", "Upload-Length", "4")
	victim := filepath.Join(t.TempDir(), "victim")
	r.must(os.WriteFile(victim, []byte("secret"), 0o600))
	file := r.stat(path).Location
	r.must(os.Remove(file))
	r.must(os.Symlink(victim, file))
	resp, text := r.do("GET", path, nil)
	r.wantProblem(resp, text, 404, "NOT_FOUND")
}

func TestDownloadWithoutMemory(t *testing.T) {
	r := newRig(t, &server.Options{AllowReading: true, MemoryTimeout: 50 * time.Millisecond})
	path := r.upload("x", "Upload-Length", "1")
	release := r.hog()
	resp, text := r.do("GET", path, nil)
	r.wantProblem(resp, text, 503, "UNAVAILABLE")
	release()
	if resp, text := r.do("GET", path, nil); string(text) != "x" {
		t.Errorf("with memory again: %s %s", resp.Status, text)
	}
}

// A reader that takes nothing is ended, and one that waits between two requests
// isn't.
func TestDownloadThatStops(t *testing.T) {
	t.Parallel()
	const size = 32 << 20 // more than the sockets hold
	r := newRig(t, &server.Options{AllowReading: true, IdleTimeout: time.Second})
	big := r.upload(string(sequence(size)), "Upload-Length", strconv.Itoa(size))
	small := r.upload("x", "Upload-Length", "1")
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	conn := r.send(get(big))
	for r.mem.Stats().Active == 0 {
		time.Sleep(time.Millisecond)
	}
	for r.mem.Stats().Active > 0 { // until the server gives up
		time.Sleep(time.Millisecond)
	}
	if n, _ := io.Copy(io.Discard, conn); n >= size {
		t.Errorf("%d bytes came all the same", n)
	}

	conn = r.send(get(small))
	if resp, text := r.answer(conn); string(text) != "x" {
		t.Fatalf("%s %s", resp.Status, text)
	}
	time.Sleep(1200 * time.Millisecond)
	_, err := io.WriteString(conn, get(small))
	r.must(err)
	if resp, text := r.answer(conn); string(text) != "x" {
		t.Errorf("after a while: %s %s", resp.Status, text)
	}
}

func TestDownloadEndsWithTheServer(t *testing.T) {
	const size = 32 << 20
	r := newRig(t, &server.Options{AllowReading: true})
	path := r.upload(strings.Repeat("x", size), "Upload-Length", strconv.Itoa(size))
	conn := r.send("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
	for r.mem.Stats().Active == 0 {
		time.Sleep(time.Millisecond)
	}
	r.must(r.server.Shutdown(t.Context()))
	if n, _ := io.Copy(io.Discard, conn); n >= size {
		t.Errorf("%d bytes came all the same", n)
	}
}
