package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
)

// half begins a PATCH that declares size bytes and sends fewer, on a connection
// that then stays open without a word, as after the client's machine died.
func (r *rig) half(path string, size int, sent string) net.Conn {
	r.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	r.must(err)
	r.Cleanup(func() { _ = c.Close() })
	_, err = fmt.Fprintf(c, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nContent-Type: %s\r\nUpload-Offset: 0\r\nContent-Length: %d\r\n\r\n%s",
		path, tus.ContentType, size, sent)
	r.must(err)
	return c
}

// reading waits until a body is under way and its first bytes are read.
func (r *rig) reading() {
	r.Helper()
	for r.server.Received() == 0 {
		if r.Context().Err() != nil {
			r.Fatal("the body is not being read")
		}
		time.Sleep(time.Millisecond)
	}
}

// answer reads the response on a connection of half.
func (r *rig) answer(c net.Conn) (*http.Response, []byte) {
	r.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "PATCH"})
	r.must(err)
	text, err := io.ReadAll(resp.Body)
	r.must(err)
	r.must(resp.Body.Close())
	resp.Request = &http.Request{Method: "PATCH"}
	return resp, text
}

func TestNewerRequestTakesOver(t *testing.T) {
	for _, method := range []string{"HEAD", "PATCH", "DELETE"} {
		t.Run(method, func(t *testing.T) {
			r := newRig(t, nil)
			upload := r.create("Upload-Length", "10")
			old := r.half(upload, 10, "01234")
			r.reading()
			offset := "5"
			switch method {
			case "HEAD":
				offset = r.offset(upload)
			case "PATCH":
				// What sits in the socket may or may not have been taken.
				resp, text := r.patch(upload, "0", strings.NewReader("0123456789"))
				if resp.StatusCode == http.StatusConflict {
					offset = resp.Header.Get("Upload-Offset")
				} else if offset = "10"; resp.StatusCode != http.StatusNoContent {
					r.Fatalf("%s %s", resp.Status, text)
				}
			case "DELETE":
				if resp, text := r.do("DELETE", upload, nil); resp.StatusCode != http.StatusNoContent {
					r.Fatalf("%s %s", resp.Status, text)
				}
				resp, text := r.answer(old)
				r.wantProblem(resp, text, http.StatusConflict, protocol.CodeSuperseded)
				return
			}
			resp, text := r.answer(old)
			r.wantProblem(resp, text, http.StatusConflict, protocol.CodeSuperseded)
			rest := "0123456789"[len("0123456789")-10+atoi(offset):]
			r.patch(upload, offset, strings.NewReader(rest))
			if got := r.content(upload); string(got) != "0123456789" {
				r.Errorf("stored %q", got)
			}
		})
	}
}

// Clients ask twice at once when they are told to stop and go on. To be refused
// a HEAD has them begin another upload.
func TestAllWhoAskAreAnswered(t *testing.T) {
	r := newRig(t, nil)
	upload := r.create("Upload-Length", "10")
	r.patch(upload, "0", strings.NewReader("01234"))
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			for range 20 {
				resp, _ := r.do("HEAD", upload, nil)
				if resp.StatusCode != http.StatusOK || resp.Header.Get("Upload-Offset") != "5" {
					r.Errorf("%s, offset %q", resp.Status, resp.Header.Get("Upload-Offset"))
				}
			}
		})
	}
	asking.Wait()
}

func atoi(s string) (n int) {
	_, _ = fmt.Sscan(s, &n)
	return n
}

func TestBrokenConnectionKeepsWhatArrived(t *testing.T) {
	for name, sent := range map[string]int{"before the body": 0, "in the body": 300_000, "before the last byte": 999_999} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			data := string(sequence(1_000_000))
			upload := r.create("Upload-Length", "1000000")
			c := r.half(upload, len(data), data[:sent])
			r.must(c.(*net.TCPConn).CloseWrite())
			_, _ = io.Copy(io.Discard, c) // until the server has noticed
			offset := r.offset(upload)
			if offset != fmt.Sprint(sent) {
				r.Errorf("offset is %s of %d sent", offset, sent)
			}
			r.patch(upload, offset, strings.NewReader(data[atoi(offset):]))
			if string(r.content(upload)) != data {
				r.Error("stored something else")
			}
		})
	}
}

func TestIdleBodyIsEnded(t *testing.T) {
	r := newRig(t, &server.Options{IdleTimeout: 50 * time.Millisecond})
	upload := r.create("Upload-Length", "10")
	resp, text := r.answer(r.half(upload, 10, "01234"))
	r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
	if resp.Header.Get("Retry-After") == "" {
		r.Error("no Retry-After")
	}
	if got := r.offset(upload); got != "5" {
		r.Errorf("offset is %s", got)
	}
}

func TestNoMemoryIsTransient(t *testing.T) {
	r := newRig(t, &server.Options{MemoryTimeout: 50 * time.Millisecond})
	upload := r.create("Upload-Length", "10")
	release := r.hog()
	resp, text := r.patch(upload, "0", strings.NewReader("0123456789"))
	r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
	if resp.Header.Get("Retry-After") == "" || resp.Header.Get("Upload-Offset") != "0" {
		r.Errorf("headers are %v", resp.Header)
	}
	release()
	if resp, text := r.patch(upload, "0", strings.NewReader("0123456789")); resp.StatusCode != http.StatusNoContent {
		r.Errorf("with memory again: %s %s", resp.Status, text)
	}
}

// hog takes all memory, until it is released.
func (r *rig) hog() (release func()) {
	r.Helper()
	var all []memory.Buffer
	for {
		b, err := r.mem.TryAcquire("test", 32<<10)
		if err != nil {
			break
		}
		all = append(all, b)
	}
	return func() {
		for _, b := range all {
			r.must(b.Release())
		}
	}
}

func TestStoreErrors(t *testing.T) {
	transient := &store.TransientError{Err: errors.New("disk busy"), RetryAfter: 7 * time.Second}
	for name, c := range map[string]struct {
		op     storetest.Op
		err    error
		method string
		status int
		code   string
	}{
		"no space":           {storetest.OpWrite, store.ErrNoSpace, "PATCH", 507, "NO_SPACE"},
		"no space at finish": {storetest.OpFinish, store.ErrNoSpace, "PATCH", 507, "NO_SPACE"},
		"gone":               {storetest.OpOpen, store.ErrGone, "PATCH", 410, "GONE"},
		"head gone":          {storetest.OpStat, store.ErrGone, "HEAD", 410, ""},
		"head transient":     {storetest.OpStat, transient, "HEAD", 503, ""},
		"head unknown":       {storetest.OpStat, errors.New("secret detail"), "HEAD", 500, ""},
		"patch transient":    {storetest.OpOpen, transient, "PATCH", 503, "UNAVAILABLE"},
		"patch unknown":      {storetest.OpWrite, errors.New("secret detail"), "PATCH", 500, "INTERNAL_ERROR"},
		"denied":             {storetest.OpAbort, store.ErrDenied, "DELETE", 500, "INTERNAL_ERROR"},
		"rate limited":       {storetest.OpWrite, &store.TransientError{Err: store.ErrRateLimited, RetryAfter: 7 * time.Second}, "PATCH", 429, "RATE_LIMIT_EXCEEDED"},
		"no look afterwards": {storetest.OpInfo, transient, "PATCH", 503, "UNAVAILABLE"},
		"no memory":          {storetest.OpWrite, &store.TransientError{Err: memory.ErrFull, RetryAfter: 7 * time.Second}, "PATCH", 503, "UNAVAILABLE"},
		"checksum":           {storetest.OpFinish, store.ErrChecksum, "PATCH", 460, "CHECKSUM_MISMATCH"},
	} {
		t.Run(name, func(t *testing.T) {
			inner := newRig(t, nil)
			faulty := storetest.NewFaulty(inner.files)
			var log syncBuffer
			logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
			r := newRigOver(t, faulty, inner.mem, &server.Options{Logger: logger})
			r.files, r.dir = inner.files, inner.dir
			upload := r.create("Upload-Length", "10")
			faulty.Add(storetest.Fault{Op: c.op, Call: faulty.Calls(c.op) + 1, Err: c.err})
			resp, text := r.do(c.method, upload, body(c.method), "Content-Type", tus.ContentType, "Upload-Offset", "0")
			r.wantProblem(resp, text, c.status, c.code)
			if strings.Contains(string(text), "secret") {
				r.Errorf("the answer shows our insides: %s", text)
			}
			want := 1
			if errors.Is(c.err, store.ErrGone) || errors.Is(c.err, memory.ErrFull) || c.op == storetest.OpInfo { // which is no fault of the store, or not told of
				want = 0
			}
			if got := strings.Count(log.String(), c.err.Error()); got != want {
				r.Errorf("%v is logged %d times: %s", c.err, got, log.String())
			}
			if (c.status == 503 || c.status == 429) && resp.Header.Get("Retry-After") != "7" {
				r.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
			}
			if c.op == storetest.OpInfo && resp.Header.Get("Upload-Offset") != "" {
				r.Errorf("the offset is %s, and nobody knows", resp.Header.Get("Upload-Offset"))
			}
			if c.status != 200 && c.method == "HEAD" && resp.Header.Get("Upload-Offset") != "" {
				r.Error("an offset on a HEAD that failed")
			}
			// It goes on where it was, and HEAD finishes what is whole.
			if offset := r.offset(upload); offset != "10" {
				r.patch(upload, offset, strings.NewReader("0123456789"[atoi(offset):]))
			}
			if got := r.content(upload); string(got) != "0123456789" {
				r.Errorf("stored %q", got)
			}
		})
	}
}

func body(method string) io.Reader {
	if method != "PATCH" {
		return nil
	}
	return strings.NewReader("0123456789")
}

func TestShutdown(t *testing.T) {
	r := newRig(t, nil)
	upload := r.create("Upload-Length", "10")
	c := r.half(upload, 10, "01234")
	r.reading()
	r.must(r.server.Shutdown(t.Context()))
	resp, text := r.answer(c)
	r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
	if resp.Header.Get("Upload-Offset") != "5" || resp.Header.Get("Retry-After") == "" {
		r.Errorf("headers are %v", resp.Header)
	}
	if got := r.stat(upload).Offset; got != 5 {
		r.Errorf("offset is %d", got)
	}
	for _, method := range []string{"POST", "PATCH", "HEAD", "DELETE"} {
		path := upload
		if method == "POST" {
			path = "/files/"
		}
		resp, _ := r.do(method, path, nil, "Upload-Length", "10", "Upload-Offset", "5", "Content-Type", tus.ContentType)
		if resp.StatusCode != http.StatusServiceUnavailable {
			r.Errorf("%s after Shutdown: %s", method, resp.Status)
		}
	}
}

func TestServeUntilTheContextEnds(t *testing.T) {
	r := newRig(t, nil)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(ctx, ln) }()
	r.url = "http://" + ln.Addr().String()
	upload := r.create("Upload-Length", "10")
	c := r.half(upload, 10, "01234")
	r.reading()
	if resp, _ := r.do("HEAD", upload, nil, "X-Large", strings.Repeat("x", 32<<10)); resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		r.Errorf("32 KiB of headers: %s", resp.Status)
	}
	cancel()
	resp, text := r.answer(c)
	r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
	r.must(<-ended)
}

func TestLocationBehindStripPrefix(t *testing.T) {
	r := newRig(t, nil)
	mux := http.NewServeMux()
	mux.Handle("/app/up/", http.StripPrefix("/app/up", r.server))
	hs := httptest.NewServer(mux)
	defer hs.Close()
	r.url = hs.URL
	resp, _ := r.do("POST", "/app/up/files/", nil, "Upload-Length", "1")
	location := resp.Header.Get("Location")
	if !strings.HasPrefix(location, "/app/up/files/") {
		t.Fatalf("Location is %s", location)
	}
	if got := r.offset(location); got != "0" {
		t.Errorf("offset there is %q", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	r := newRig(t, nil)
	for name, opts := range map[string]server.Options{
		"base path without slashes": {BasePath: "files"},
		"negative size":             {MaxFileBytes: -1},
		"negative timeout":          {IdleTimeout: -1},
	} {
		if _, err := server.New(r.files, r.mem, &opts); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
