package hook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store/filestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

const secretText = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDZmvL4Pk7xZM="

// A rig is a server with hooks over a directory.
type rig struct {
	*testing.T
	dir, outbox string
	opts        hook.Options
	targets     []string
	log         *logged
	auth        *auth.Options

	mem   *memory.Manager
	files *filestore.Store
	hooks *hook.Hooks
	http  *httptest.Server
}

func newRig(t *testing.T, opts hook.Options, targets ...string) *rig {
	t.Helper()
	r := &rig{T: t, dir: t.TempDir(), outbox: t.TempDir(), opts: opts, targets: targets, log: &logged{}}
	r.opts.Logger = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if r.opts.RetryDelay == 0 {
		r.opts.RetryDelay = time.Millisecond
	}
	r.start()
	t.Cleanup(r.stop)
	return r
}

// start begins a server, as a process does.
func (r *rig) start() {
	r.Helper()
	var err error
	r.mem, err = memory.New(nil)
	r.must(err)
	r.files, err = filestore.Open(r.dir, r.mem, &filestore.Options{ByID: true})
	r.must(err)
	r.hooks, err = hook.Open(r.Context(), r.targets, r.outbox, r.files, r.mem, &r.opts)
	r.must(err)
	srv, err := server.New(r.files, r.mem, &server.Options{Hooks: r.hooks, Auth: r.auth})
	r.must(err)
	r.http = httptest.NewServer(srv)
}

func (r *rig) stop() {
	if r.http == nil {
		return
	}
	http.DefaultClient.CloseIdleConnections()
	r.http.Close()
	r.http = nil
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.must(r.hooks.Close(ctx))
	if held := r.mem.Stats().Active; held != 0 {
		r.Errorf("%d resources were not released", held)
	}
	r.must(r.files.Close())
	r.must(r.mem.Close())
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// An answer is what a client sees.
type answer struct {
	status  int
	header  http.Header
	problem protocol.Problem
}

func (r *rig) do(method, path string, body io.Reader, headers ...string) answer {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), method, r.http.URL+path, body)
	r.must(err)
	req.Header.Set(tus.HeaderResumable, tus.Version)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	r.must(err)
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header}
	text, err := io.ReadAll(resp.Body)
	r.must(err)
	if len(text) > 0 && method != http.MethodHead {
		r.must(json.Unmarshal(text, &a.problem))
	}
	return a
}

func (r *rig) create(length string, metadata map[string]string, headers ...string) answer {
	r.Helper()
	wire, err := tus.EncodeMetadata(metadata)
	r.must(err)
	return r.do("POST", "/files/", nil, append(headers, "Upload-Length", length, "Upload-Metadata", wire)...)
}

func (r *rig) patch(path, offset, body string) answer {
	r.Helper()
	return r.do("PATCH", path, strings.NewReader(body), "Content-Type", tus.ContentType, "Upload-Offset", offset)
}

// upload makes a whole upload and returns its path.
func (r *rig) upload(content string) string {
	r.Helper()
	a := r.do("POST", "/files/", strings.NewReader(content), "Upload-Length", strconv.Itoa(len(content)), "Content-Type", tus.ContentType)
	if a.status != http.StatusCreated {
		r.Fatalf("create: %d %+v", a.status, a.problem)
	}
	return a.header.Get("Location")
}

// wantStored checks how many uploads there are, whole or not.
func (r *rig) wantStored(n int) {
	r.Helper()
	logs, err := filepath.Glob(filepath.Join(r.dir, ".streamflow", "*.log"))
	r.must(err)
	if len(logs) != n {
		r.Errorf("%d uploads are in the store, want %d", len(logs), n)
	}
}

// messages returns the files in the outbox, the lock left out.
func (r *rig) messages() []string {
	r.Helper()
	var names []string
	r.must(filepath.WalkDir(r.outbox, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			names = append(names, path)
		}
		return err
	}))
	return names
}

func (r *rig) eventually(what string, done func() bool) {
	r.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			r.Fatalf("waited for %s in vain; the log: %.4000s", what, r.log)
		}
	}
}

// A receiver is an endpoint that keeps what it gets.
type receiver struct {
	*httptest.Server
	t      *testing.T
	secret hook.Secret

	mu    sync.Mutex
	reply func(hook.Message) (status int, body string) // nil: 204
	got   []hook.Message
}

func newReceiver(t *testing.T, reply func(hook.Message) (int, string)) *receiver {
	t.Helper()
	secret, err := hook.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	rec := &receiver{t: t, secret: secret, reply: reply}
	rec.Server = httptest.NewServer(rec)
	t.Cleanup(rec.Close)
	return rec
}

// ServeHTTP implements http.Handler.
func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the caller went away
	}
	if err := hook.Verify(r, body, rec.secret); err != nil {
		rec.t.Error(err)
	}
	var m hook.Message
	if err := json.Unmarshal(body, &m); err != nil {
		rec.t.Error(err)
	}
	if id := r.Header.Get("Webhook-Id"); id != m.ID || m.Version != hook.Version {
		rec.t.Errorf("id is %q, message is %s", id, body)
	}
	rec.mu.Lock()
	rec.got = append(rec.got, m)
	reply := rec.reply
	rec.mu.Unlock()
	if reply == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	status, text := reply(m)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// accept has every message from now on answered with 204.
func (rec *receiver) accept() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.reply = nil
}

func (rec *receiver) messages() []hook.Message {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.Clone(rec.got)
}

func (rec *receiver) events() []hook.Event {
	var events []hook.Event
	for _, m := range rec.messages() {
		events = append(events, m.Event)
	}
	return events
}

func (rec *receiver) count(e hook.Event) int {
	n := 0
	for _, got := range rec.events() {
		if got == e {
			n++
		}
	}
	return n
}

// signed are the options for receivers.
func signed(t *testing.T, events ...hook.Event) hook.Options {
	t.Helper()
	secret, err := hook.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	return hook.Options{Secret: secret, Events: events}
}

// logged is a log that may be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
