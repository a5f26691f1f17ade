package server_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store/filestore"
)

// serve is a rig whose server has a listener of its own, over limit bytes.
func serve(t *testing.T, limit int64, opts server.Options) *rig {
	t.Helper()
	mem, err := memory.New(&memory.Options{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, mem: mem, dir: t.TempDir(), client: &http.Client{}}
	r.files, err = filestore.Open(r.dir, mem, &filestore.Options{ByID: true})
	r.must(err)
	r.server, err = server.New(r.files, mem, &opts)
	r.must(err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	r.url = "http://" + ln.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if held := mem.Stats().Active; held != 0 {
			t.Errorf("%d resources were not released", held)
		}
		r.must(r.files.Close())
		r.must(mem.Close())
	})
	return r
}

// protocols are the ways to speak HTTP to a server with a listener of its own.
func eachProtocol(t *testing.T, opts server.Options, test func(*rig)) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	trust := certified.Client().Transport.(*http.Transport).TLSClientConfig
	for name, c := range map[string]struct{ tls, http2 bool }{
		"HTTP/1.1": {false, false}, "HTTP/1.1 over TLS": {true, false},
		"HTTP/2": {false, true}, "HTTP/2 over TLS": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			opts := opts
			if c.tls {
				opts.TLS = &tls.Config{Certificates: certified.TLS.Certificates}
			}
			r := serve(t, 100<<20, opts)
			var speaks http.Protocols
			speaks.SetHTTP1(!c.http2)
			speaks.SetHTTP2(c.http2 && c.tls)
			speaks.SetUnencryptedHTTP2(c.http2 && !c.tls)
			r.client.Transport = &http.Transport{Protocols: &speaks, TLSClientConfig: trust.Clone()}
			if c.tls {
				r.url = strings.Replace(r.url, "http:", "https:", 1)
			}
			test(r)
		})
	}
}

func TestUploadOverEachProtocol(t *testing.T) {
	eachProtocol(t, server.Options{}, func(r *rig) {
		data := sequence(3 << 20)
		upload := r.create("Upload-Length", fmt.Sprint(len(data)))
		resp, text := r.patch(upload, "0", strings.NewReader(string(data)))
		if resp.StatusCode != http.StatusNoContent {
			r.Fatalf("%s %s", resp.Status, text)
		}
		if string(r.content(upload)) != string(data) {
			r.Error("stored something else")
		}
	})
}

// A pending request sends its body piece by piece.
type pending struct {
	*io.PipeWriter
	resp *http.Response
	text []byte
	done chan struct{}
}

func (r *rig) pend(path string) *pending {
	body, w := io.Pipe()
	p := &pending{PipeWriter: w, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.resp, p.text = r.patch(path, "0", body)
	}()
	return p
}

func TestTakeoverOverEachProtocol(t *testing.T) {
	eachProtocol(t, server.Options{}, func(r *rig) {
		upload := r.create("Upload-Length", "10")
		old := r.pend(upload)
		_, err := old.Write([]byte("01234"))
		r.must(err)
		r.reading()
		offset := r.offset(upload)
		<-old.done
		r.wantProblem(old.resp, old.text, http.StatusConflict, "SUPERSEDED")
		r.must(old.Close())
		resp, text := r.patch(upload, offset, strings.NewReader("0123456789"[atoi(offset):]))
		if resp.StatusCode != http.StatusNoContent || string(r.content(upload)) != "0123456789" {
			r.Errorf("the next one: %s %s", resp.Status, text)
		}
	})
}

// A body that is never idle, but slow, ends too; its upload is kept.
func TestTricklingBodyIsEnded(t *testing.T) {
	t.Parallel()
	eachProtocol(t, server.Options{IdleTimeout: 2 * time.Second, MinRate: 1000}, func(r *rig) {
		upload := r.create("Upload-Length", "1000")
		p := r.pend(upload)
		for ended := false; !ended; {
			select {
			case <-p.done:
				ended = true
			case <-time.After(20 * time.Millisecond):
				_, _ = p.Write([]byte{'x'})
			}
		}
		r.must(p.Close())
		r.wantProblem(p.resp, p.text, http.StatusServiceUnavailable, "UNAVAILABLE")
		if offset := r.offset(upload); atoi(offset) == 0 {
			r.Errorf("the offset is %s", offset)
		}
	})
}

// Without a least rate it may take its time.
func TestTricklingBodyMayGoOn(t *testing.T) {
	t.Parallel()
	r := serve(t, 100<<20, server.Options{IdleTimeout: 2 * time.Second, MinRate: -1})
	upload := r.create("Upload-Length", "25")
	p := r.pend(upload)
	for range 25 {
		time.Sleep(100 * time.Millisecond)
		_, err := p.Write([]byte{'x'})
		r.must(err)
	}
	r.must(p.Close())
	if <-p.done; p.resp.StatusCode != http.StatusNoContent {
		t.Errorf("%s %s", p.resp.Status, p.text)
	}
}

// Headers that trickle end with their connection.
func TestSlowHeadersAreEnded(t *testing.T) {
	r := serve(t, 100<<20, server.Options{IdleTimeout: 200 * time.Millisecond})
	c := r.dial()
	_, err := io.WriteString(c, "PATCH /files/x HTTP/1.1\r\nHost: x\r\nX-")
	r.must(err)
	r.must(c.SetReadDeadline(time.Now().Add(30 * time.Second)))
	if answer, err := io.ReadAll(c); err != nil || strings.HasPrefix(string(answer), "HTTP/1.1 2") {
		t.Errorf("answer is %q, %v", answer, err)
	}
}

func (r *rig) dial() net.Conn {
	r.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	r.must(err)
	r.Cleanup(func() { _ = c.Close() })
	return c
}

// connections waits until n connections are charged for: those there are, and
// the one that is to come.
func (r *rig) connections(n int) {
	r.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for r.mem.Stats().Kinds[memory.KindConnection].Active != int64(n)+1 {
		if time.Now().After(deadline) {
			r.Fatalf("%d connections are charged for, want %d", r.mem.Stats().Kinds[memory.KindConnection].Active-1, n)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestConnectionsAreCharged(t *testing.T) {
	r := serve(t, 100<<20, server.Options{})
	r.connections(0)
	first, second := r.dial(), r.dial()
	r.connections(2)
	r.must(first.Close())
	r.connections(1)
	r.must(second.Close())
	r.connections(0)
}

// A full listener has no descriptor left, for a while.
type fullListener struct {
	net.Listener
	left int // how often
}

// Accept implements net.Listener.
func (l *fullListener) Accept() (net.Conn, error) {
	if l.left--; l.left >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// A server that has too many files open goes on once there are less.
func TestAcceptIsTriedAgain(t *testing.T) {
	var log syncBuffer
	r := newRig(t, &server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(ctx, &fullListener{ln, 3}) }()
	r.url = "http://" + ln.Addr().String()
	if resp, text := r.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s %s", resp.Status, text)
	}
	r.client.CloseIdleConnections()
	stop()
	r.must(<-served)
	if got := strings.Count(log.String(), "a connection can't be accepted"); got != 3 {
		t.Errorf("it is logged %d times: %s", got, log.String())
	}
}

// A server that is full of slow connections says so to whoever comes, and that it
// is alive to whoever asks that, however many more come and say nothing.
func TestFullServerAnswers(t *testing.T) {
	r := serve(t, 2<<20, server.Options{IdleTimeout: time.Minute})
	r.client.Transport = &http.Transport{DisableKeepAlives: true}
	var slow []net.Conn
	for r.mem.Stats().Waiters == 0 {
		slow = append(slow, r.dial())
		time.Sleep(5 * time.Millisecond)
	}
	for range 40 {
		r.dial()
	}
	if resp, text := r.get("/healthz"); resp.StatusCode != http.StatusOK || !resp.Close {
		t.Errorf("health: %s %s, closes: %v", resp.Status, text, resp.Close)
	}
	for name, c := range map[string]struct {
		method, path string
		body         io.Reader
	}{
		"readiness":    {"GET", "/readyz", nil},
		"page":         {"GET", "/", nil},
		"creation":     {"POST", "/files/", nil},
		"plain upload": {"PUT", "/files/a.txt", strings.NewReader("0123456789")},
	} {
		resp, text := r.do(c.method, c.path, c.body, "Upload-Length", "10")
		if resp.Header.Get("Retry-After") == "" || !resp.Close {
			t.Errorf("%s: header is %v, closes: %v", name, resp.Header, resp.Close)
		}
		r.wantProblem(resp, text, http.StatusServiceUnavailable, "MEMORY_LIMIT_EXCEEDED")
	}
	if used := r.mem.Stats().Used; used > 2<<20 {
		t.Errorf("%d bytes are charged", used)
	}

	visitor := r.dial()
	for _, c := range slow {
		r.must(c.Close())
	}
	for r.mem.Level() == memory.Critical {
		time.Sleep(time.Millisecond)
	}
	r.must(visitor.SetDeadline(time.Now().Add(30 * time.Second)))
	answers := bufio.NewReader(visitor)
	for range 2 {
		_, err := io.WriteString(visitor, "GET /api/v1/memory HTTP/1.1\r\nHost: x\r\n\r\n")
		r.must(err)
		resp, err := http.ReadResponse(answers, nil)
		r.must(err)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK || resp.Close {
			t.Errorf("a visitor with room: %s, closes: %v, %v", resp.Status, resp.Close, err)
		}
	}
	if n := r.unfinished(); n != 0 {
		t.Errorf("%d uploads were begun", n)
	}
}

// At level critical new uploads are refused before anything is kept of them,
// and those there are go on.
func TestCriticalRefusesNewUploads(t *testing.T) {
	r := serve(t, 100<<20, server.Options{})
	upload := r.create("Upload-Length", "10")
	free := r.fill()
	before := r.unfinished()
	for name, c := range map[string]struct {
		body    io.Reader
		headers []string
	}{
		"creation":             {nil, []string{"Upload-Length", "10"}},
		"creation with upload": {strings.NewReader("0123456789"), []string{"Upload-Length", "10", "Content-Type", tus.ContentType}},
		"concatenation":        {nil, []string{"Upload-Concat", "final;" + upload}},
	} {
		resp, text := r.do("POST", "/files/", c.body, c.headers...)
		r.wantProblem(resp, text, http.StatusServiceUnavailable, "MEMORY_LIMIT_EXCEEDED")
		if resp.Header.Get("Retry-After") == "" || !resp.Close {
			t.Errorf("%s: header is %v, closes: %v", name, resp.Header, resp.Close)
		}
	}
	if after := r.unfinished(); after != before {
		t.Errorf("%d uploads are unfinished, before it were %d", after, before)
	}
	if resp, text := r.patch(upload, "0", strings.NewReader("0123456789")); resp.StatusCode != http.StatusNoContent {
		t.Errorf("an upload that was there: %s %s", resp.Status, text)
	}
	free()
	r.create("Upload-Length", "10")
}

// While memory is short bodies are read more slowly, and with little of it.
func TestWarningSlowsDown(t *testing.T) {
	r := serve(t, 100<<20, server.Options{})
	ballast, err := r.mem.Reserve(t.Context(), "test", 80<<20)
	r.must(err)
	const size = 8 << 20
	upload := r.create("Upload-Length", fmt.Sprint(size))
	start := time.Now()
	resp, text := r.patch(upload, "0", strings.NewReader(string(sequence(size))))
	if took := time.Since(start); resp.StatusCode != http.StatusNoContent || took < size*time.Second/(80<<20) {
		t.Errorf("%s %s after %v", resp.Status, text, took)
	}
	r.must(ballast.Release())
	if string(r.content(upload)) != string(sequence(size)) {
		t.Error("stored something else")
	}
}
