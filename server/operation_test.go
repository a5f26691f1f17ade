package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
)

// fill takes memory until the level is critical, and returns how to give it
// back.
func (r *rig) fill() (release func()) {
	r.Helper()
	var all []memory.Buffer
	for r.mem.Level() != memory.Critical {
		b, err := r.mem.TryAcquire("test", 1<<20)
		r.must(err)
		all = append(all, b)
	}
	return func() {
		for _, b := range all {
			r.must(b.Release())
		}
	}
}

// exhaust takes all memory there is, and returns how to give it back.
func (r *rig) exhaust() (release func()) {
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

func (r *rig) get(path string) (*http.Response, []byte) { r.Helper(); return r.do("GET", path, nil) }

// admin is the same server as its admin listener shows it.
func (r *rig) admin() *rig {
	hs := httptest.NewServer(r.server.Admin())
	r.Cleanup(hs.Close)
	other := *r
	other.url = hs.URL
	return &other
}

func TestAPIKeepsItsDescription(t *testing.T) {
	api := readOpenAPI(t)
	r := newRig(t, nil)
	admin := r.admin()
	upload := r.create("Upload-Length", "10", "Upload-Metadata", "filename Yi50eHQ=")
	r.half(upload, 10, "01234")
	r.reading()
	asked := make(map[string]bool)
	for _, at := range []*rig{r, admin} {
		for _, path := range []string{"/healthz", "/readyz", "/metrics", "/api/v1/memory", "/api/v1/uploads"} {
			resp, body := at.get(path)
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", path, resp.Status)
			}
			api.check(resp, body)
			asked[path] = true
		}
	}
	resp, body := admin.do("POST", "/api/v1/memory/cleanup", nil)
	api.check(resp, body)
	asked[resp.Request.URL.Path] = true
	stream := r.follow()
	api.check(stream.resp, nil)
	asked[stream.resp.Request.URL.Path] = true
	defer r.fill()()
	resp, body = r.get("/readyz")
	api.check(resp, body)
	r.wantProblem(resp, body, http.StatusServiceUnavailable, "MEMORY_LIMIT_EXCEEDED")
	for path := range api.paths {
		if !asked[path] {
			t.Errorf("openapi.yaml has %s, which nobody asked for", path)
		}
	}
}

// Where requests are authenticated, each path with security asks for a token, and no
// other does.
func TestAPIDescribesItsTokens(t *testing.T) {
	api := readOpenAPI(t)
	r, tokens := newGrantRig(t)
	upload, _ := r.signedPath(auth.Grant{})
	_, grant, _ := strings.Cut(upload, "?")
	for path, at := range api.paths {
		if at["get"].Responses == nil {
			continue
		}
		secured := at["get"].Security != nil
		for who, headers := range map[string][]string{
			"nobody":  nil,
			"unknown": {"Authorization", "Bearer nonsense"},
		} {
			resp, body := r.do("GET", path, nil, headers...)
			api.check(resp, body)
			if refused := resp.StatusCode == http.StatusUnauthorized; refused != secured {
				t.Errorf("%s as %s: %s, secured: %v", path, who, resp.Status, secured)
			}
		}
		resp, body := r.do("GET", path+"?"+grant, nil)
		api.check(resp, body)
		if refused := resp.StatusCode == http.StatusForbidden; refused != secured {
			t.Errorf("%s with a signed URL: %s, secured: %v", path, resp.Status, secured)
		}
	}
	resp, body := r.do("GET", "/metrics", nil, tokens.as("alice")...)
	api.check(resp, body)
	r.wantProblem(resp, body, http.StatusForbidden, "ACCESS_DENIED")
}

func TestReadiness(t *testing.T) {
	r := newRig(t, nil)
	want := func(path string, status int) {
		t.Helper()
		if resp, body := r.get(path); resp.StatusCode != status {
			t.Errorf("%s: %s %s", path, resp.Status, body)
		}
	}
	want("/readyz", 200)
	release := r.fill()
	want("/readyz", 503)
	want("/healthz", 200)
	release()
	want("/readyz", 200)
	r.must(r.server.Shutdown(t.Context()))
	r.must(r.server.Shutdown(t.Context()))
	want("/readyz", 503)
	want("/healthz", 200)
	resp, body := r.get("/api/v1/events")
	r.wantProblem(resp, body, http.StatusServiceUnavailable, "UNAVAILABLE")
}

func TestOperationRefusals(t *testing.T) {
	r := newRig(t, nil)
	for name, c := range map[string]struct {
		method, path string
		status       int
		code         string
	}{
		"no such path":          {"GET", "/api/v1/other", 404, "NOT_FOUND"},
		"method":                {"POST", "/metrics", 405, "METHOD_NOT_ALLOWED"},
		"cleanup for everybody": {"POST", "/api/v1/memory/cleanup", 404, "NOT_FOUND"},
		"pprof for everybody":   {"GET", "/debug/pprof/", 404, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := r.do(c.method, c.path, nil)
			r.wantProblem(resp, body, c.status, c.code)
			if c.status == 405 && resp.Header.Get("Allow") != "GET" {
				t.Errorf("Allow is %q", resp.Header.Get("Allow"))
			}
		})
	}
	for _, path := range []string{"/", "/healthz", "/metrics", "/api/v1/memory", "/api/v1/events"} {
		if resp, body := r.do("HEAD", path, nil); resp.StatusCode != 200 || len(body) > 0 {
			t.Errorf("HEAD %s: %s, %d bytes", path, resp.Status, len(body))
		}
	}
}

// An upload may have any name of the server's own endpoints.
func TestUploadsAtTheRoot(t *testing.T) {
	r := newRig(t, &server.Options{BasePath: "/"})
	resp, text := r.do("POST", "/", nil, "Upload-Length", "1")
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s", resp.Status, text)
	}
	if got := r.offset(resp.Header.Get("Location")); got != "0" {
		t.Errorf("offset is %q", got)
	}
	if resp, _ := r.get("/healthz"); resp.StatusCode != 200 {
		t.Errorf("/healthz: %s", resp.Status)
	}
}

func TestUploadsUnderWay(t *testing.T) {
	r := newRig(t, nil)
	upload := r.create("Upload-Length", "10", "Upload-Metadata", "filename Yi50eHQ=")
	r.half(upload, 10, "01234")
	type list struct {
		Total   int
		Uploads []struct {
			ID          string
			OffsetBytes int64  `json:"offset_bytes"`
			LengthBytes *int64 `json:"length_bytes"`
		}
	}
	ask := func(r *rig) (l list) {
		_, body := r.get("/api/v1/uploads")
		r.must(json.Unmarshal(body, &l))
		return l
	}
	var l list
	for len(l.Uploads) == 0 || l.Uploads[0].OffsetBytes < 5 {
		l = ask(r)
	}
	if u := l.Uploads[0]; l.Total != 1 || u.ID != "" || *u.LengthBytes != 10 || u.OffsetBytes != 5 {
		t.Errorf("everybody sees %+v", l)
	}
	if u := ask(r.admin()).Uploads[0]; u.ID == "" || !strings.HasSuffix(upload, u.ID) {
		t.Errorf("those who run it see %+v of %s", u, upload)
	}
	r.offset(upload) // takes over
	if l := ask(r); l.Total != 0 || l.Uploads == nil {
		t.Errorf("afterwards there are %+v", l)
	}
}

// value of a series in what /metrics says, or -1.
func value(metrics []byte, series string) (v float64) {
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.+)$`).FindSubmatch(metrics)
	if found == nil {
		return -1
	}
	_, _ = fmt.Sscan(string(found[1]), &v)
	return v
}

func TestMetrics(t *testing.T) {
	inner := newRig(t, nil)
	faulty := storetest.NewFaulty(inner.files)
	r := newRigOver(t, faulty, inner.mem, &server.Options{MemoryTimeout: 20 * time.Millisecond})
	r.files = inner.files
	done, gone, broken := r.create("Upload-Length", "10"), r.create("Upload-Length", "10"), r.create("Upload-Length", "10")
	r.patch(done, "0", strings.NewReader("0123456789"))
	r.patch(gone, "0", strings.NewReader("012"))
	r.patch(gone, "7", strings.NewReader("789")) // the client's mistakes
	r.patch(gone, "3", strings.NewReader("345"), tus.HeaderChecksum, "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	r.do("DELETE", gone, nil)
	faulty.Add(storetest.Fault{Op: storetest.OpWrite, Call: faulty.Calls(storetest.OpWrite) + 1, Err: store.ErrNoSpace})
	r.patch(broken, "0", strings.NewReader("0123456789"))
	full := &store.TransientError{Err: memory.ErrFull}
	faulty.Add(storetest.Fault{Op: storetest.OpWrite, Call: faulty.Calls(storetest.OpWrite) + 1, Err: full})
	r.patch(broken, "0", strings.NewReader("0123456789"))
	r.do("GRAB", "/files/", nil)
	release := r.exhaust()
	r.patch(broken, "0", strings.NewReader("0123456789"))
	release()

	var text []byte
	for value(text, `streamflow_http_requests_total{code="503",method="PATCH"}`) < 2 { // counted after its answer
		_, text = r.get("/metrics")
	}
	for series, want := range map[string]float64{
		`streamflow_uploads_created_total`:                                        3,
		`streamflow_uploads_finished_total`:                                       1,
		`streamflow_uploads_terminated_total`:                                     1,
		`streamflow_uploads_failed_total`:                                         1,
		`streamflow_uploads_in_flight`:                                            0,
		`streamflow_received_bytes_total`:                                         16,
		`streamflow_http_requests_total{code="201",method="POST"}`:                3,
		`streamflow_http_requests_total{code="405",method="other"}`:               1,
		`streamflow_http_requests_total{code="460",method="PATCH"}`:               1,
		`streamflow_http_requests_total{code="507",method="PATCH"}`:               1,
		`streamflow_memory_limit_bytes`:                                           float64(r.mem.Stats().Limit),
		`streamflow_memory_pressure_state{state="normal"}`:                        1,
		`streamflow_memory_pressure_state{state="critical"}`:                      0,
		`streamflow_memory_refusals_total{reason="timeout"}`:                      2,
		`streamflow_store_operation_seconds_count{op="create",store="storetest"}`: 3,
		`streamflow_store_operation_seconds_count{op="abort",store="storetest"}`:  1,
		`streamflow_store_operation_seconds_count{op="finish",store="storetest"}`: 1,
	} {
		if got := value(text, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
	if bytes.Contains(text, []byte(done[len("/files/"):])) {
		t.Error("an upload's id is in /metrics")
	}
	r.lint(text)
}

// lint holds what /metrics says to the rules of Prometheus.
func (r *rig) lint(metrics []byte) {
	r.Helper()
	problems, err := promlint.New(bytes.NewReader(metrics)).Lint()
	r.must(err)
	for _, p := range problems {
		r.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// The program around the server may use the same library for its own metrics.
func TestMetricsBesideOthers(t *testing.T) {
	vm.ExposeMetadata(true)
	defer vm.ExposeMetadata(false)
	r := newRig(t, nil)
	for range 2 { // the first knows of no requests
		_, text := r.get("/metrics")
		r.lint(text)
	}
}

// A stream is /api/v1/events being read.
type stream struct {
	*rig
	resp  *http.Response
	lines *bufio.Scanner
}

func (r *rig) follow() *stream {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), "GET", r.url+"/api/v1/events", nil)
	r.must(err)
	resp, err := r.client.Do(req)
	r.must(err)
	r.Cleanup(func() {
		resp.Body.Close()
		r.must(r.server.Shutdown(context.Background())) // waits until the server has noticed
	})
	return &stream{r, resp, bufio.NewScanner(resp.Body)}
}

// next returns the next event, or "" at the end of the stream.
func (s *stream) next() (name string, data []byte) {
	s.Helper()
	if !s.lines.Scan() {
		s.must(s.lines.Err())
		return "", nil
	}
	name, ok := strings.CutPrefix(s.lines.Text(), "event: ")
	if !ok || !s.lines.Scan() {
		s.Fatalf("no event: %q", s.lines.Text())
	}
	text, ok := strings.CutPrefix(s.lines.Text(), "data: ")
	if !ok || !s.lines.Scan() || s.lines.Text() != "" {
		s.Fatalf("no data of %s: %q", name, s.lines.Text())
	}
	return name, []byte(text)
}

func TestEvents(t *testing.T) {
	api := readOpenAPI(t)
	r := newRig(t, nil)
	s := r.follow()
	schemas := map[string]string{"memory": "Memory", "performance": "Performance", "level": "LevelChange"}
	seen := make(map[string]int)
	begun := time.Now()
	release := sync.OnceFunc(r.fill())
	defer release()
	for seen["memory"] < 3 {
		name, data := s.next()
		api.checkJSON(data, "components", "schemas", schemas[name])
		seen[name]++
		if name == "level" && seen[name] == 1 && !bytes.Contains(data, []byte(`"to":"warning"`)) {
			t.Errorf("the first change is %s", data)
		}
	}
	if took := time.Since(begun); took < time.Second || seen["level"] != 2 {
		t.Errorf("%v in %v", seen, took)
	}
	release()
	for name := ""; name != "level"; {
		name, _ = s.next()
	}
	down := make(chan error, 1)
	go func() { down <- r.server.Shutdown(r.Context()) }()
	for name := "-"; name != ""; {
		name, _ = s.next()
	}
	r.must(<-down)
}

func TestEventsTellOfPerformance(t *testing.T) {
	r := newRig(t, nil)
	s := r.follow()
	const length = 1_000_000
	r.patch(r.create("Upload-Length", strconv.Itoa(length)), "0", bytes.NewReader(make([]byte, length)))
	var e struct {
		Speed          float64
		ProcessingTime float64 `json:"processing_time"`
	}
	for e.Speed == 0 {
		if name, data := s.next(); name == "performance" {
			r.must(json.Unmarshal(data, &e))
		}
	}
	if e.Speed > 2*length || e.ProcessingTime <= 0 {
		t.Errorf("%.0f bytes a second, %v s", e.Speed, e.ProcessingTime)
	}
}

func TestEventsTellOfLeaks(t *testing.T) {
	api := readOpenAPI(t)
	r := newRig(t, nil)
	s := r.follow()
	_, err := memory.Track(r.mem, new([1 << 10]byte), "test", 1<<10, &memory.TrackOptions{Metadata: map[string]any{"secret": "hidden"}})
	r.must(err)
	name, data := "", []byte(nil)
	for name != "leak" {
		runtime.GC()
		name, data = s.next()
	}
	api.checkJSON(data, "components", "schemas", "Leak")
	if !bytes.Contains(data, []byte(`"kind":"test","bytes":1024,`)) || bytes.Contains(data, []byte("hidden")) {
		t.Errorf("leak is %s", data)
	}
}

func TestEventsHaveABound(t *testing.T) {
	r := newRig(t, nil)
	var streams []*stream
	for range 64 {
		streams = append(streams, r.follow())
	}
	resp, body := r.get("/api/v1/events")
	r.wantLimit(resp, body, http.StatusServiceUnavailable, "UNAVAILABLE", 64)
	streams[0].resp.Body.Close()
	for resp.StatusCode != http.StatusOK {
		resp = r.follow().resp // as soon as the server has noticed
	}
}

// A reader that takes nothing is cut off; neither uploads nor Shutdown wait
// for it.
func TestEventsToASlowReader(t *testing.T) {
	r := newRig(t, nil)
	near, far := net.Pipe() // without buffers, so the first event blocks
	ln := &oneConnection{conn: far, taken: make(chan struct{})}
	var hs http.Server
	hs.Handler = r.server
	ended := make(chan error, 1)
	go func() { ended <- hs.Serve(ln) }()
	_, err := io.WriteString(near, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
	r.must(err)
	for r.mem.Stats().Kinds[memory.KindConnection].Active == 0 {
		time.Sleep(time.Millisecond)
	}
	upload := r.create("Upload-Length", "10")
	defer r.fill()()
	if resp, text := r.patch(upload, "0", strings.NewReader("0123456789")); resp.StatusCode != http.StatusNoContent {
		t.Errorf("an upload beside it: %s %s", resp.Status, text)
	}
	r.must(r.server.Shutdown(t.Context()))
	if n := r.mem.Stats().Kinds[memory.KindConnection].Active; n != 0 {
		t.Errorf("%d readers are left", n)
	}
	r.must(near.Close())
	r.must(hs.Close())
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// oneConnection is a listener for one connection.
type oneConnection struct {
	conn  net.Conn
	taken chan struct{}
	once  sync.Once
}

func (l *oneConnection) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	<-l.taken
	return nil, net.ErrClosed
}

func (l *oneConnection) Close() error {
	l.once.Do(func() { close(l.taken) })
	return nil
}

func (l *oneConnection) Addr() net.Addr { return &net.TCPAddr{} }

// A syncBuffer is written by handlers and read by tests.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestAccessLog(t *testing.T) {
	var out syncBuffer
	r := newRig(t, &server.Options{Logger: slog.New(slog.NewJSONHandler(&out, nil))})
	upload := r.create("Upload-Length", "10")
	r.patch(upload+"?token=hidden", "0", strings.NewReader("0123456789"), "Authorization", "Bearer hidden")
	r.do("HEAD", "/files/a%0alevel=ERROR", nil)
	type line struct {
		Level, Msg, Method, Path, Remote string
		Status                           int
		ContentLength                    int64 `json:"content_length"`
		Took                             int64
	}
	var lines []line
	for len(lines) < 3 { // the last is written after its answer
		lines = nil
		for text := range strings.Lines(out.String()) {
			var l line
			r.must(json.Unmarshal([]byte(text), &l))
			lines = append(lines, l)
		}
	}
	for i, want := range []line{
		{Method: "POST", Path: "/files/", Status: 201},
		{Method: "PATCH", Path: upload, Status: 204, ContentLength: 10},
		{Method: "HEAD", Path: "/files/a\nlevel=ERROR", Status: 404},
	} {
		got := lines[i]
		if got.Level != "INFO" || got.Msg != "request" || got.Took <= 0 || !strings.HasPrefix(got.Remote, "127.0.0.1:") {
			t.Errorf("line is %+v", got)
		}
		want.Level, want.Msg, want.Took, want.Remote = got.Level, got.Msg, got.Took, got.Remote
		if got != want {
			t.Errorf("line is %+v, want %+v", got, want)
		}
	}
	if strings.Contains(out.String(), "hidden") {
		t.Errorf("a secret is in the log: %s", &out)
	}
}

// A mistake of the program is told with its place, and ends one request.
func TestPanicIsLogged(t *testing.T) {
	var log syncBuffer
	r := serve(t, 100<<20, server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	r.server.OnLifecycle(func(string, store.Info) error { panic("a mistake") })
	c := r.dial()
	_, err := io.WriteString(c, "POST /files/ HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 1\r\n\r\n")
	r.must(err)
	if answer, err := io.ReadAll(c); len(answer) > 0 || err != nil {
		t.Errorf("answer is %q, %v", answer, err)
	}
	if resp, _ := r.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("afterwards: %s", resp.Status)
	}
	if text := log.String(); strings.Count(text, "a mistake") != 1 || !strings.Contains(text, "lifecycle.go") || !strings.Contains(text, "status=500") {
		t.Errorf("log is %s", text)
	}
}
