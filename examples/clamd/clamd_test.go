package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store/filestore"
)

// asHook has the test binary be the hook.
const asHook = "CLAMD_HOOK_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(asHook) != "" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// signature is what the daemon below finds.
const signature = "HARMLESS-TEST-SIGNATURE"

// A daemon speaks clamd's protocol. Streams beyond its limit are errors.
type daemon struct {
	net.Listener
	limit   int
	running sync.WaitGroup

	mu     sync.Mutex
	answer func() string // nil: as clamd does
}

func (d *daemon) answers(with func() string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answer = with
}

func startDaemon(t *testing.T, network string) *daemon {
	t.Helper()
	place := "127.0.0.1:0"
	if network == "unix" {
		place = filepath.Join(t.TempDir(), "clamd.ctl")
	}
	listener, err := net.Listen(network, place)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{Listener: listener, limit: 8 << 20}
	d.running.Go(d.serve)
	t.Cleanup(func() {
		listener.Close()
		d.running.Wait()
	})
	return d
}

func (d *daemon) address() string { return d.Addr().Network() + ":" + d.Addr().String() }

func (d *daemon) serve() {
	for {
		conn, err := d.Accept()
		if err != nil {
			return
		}
		d.running.Go(func() {
			defer conn.Close()
			if answer := d.instream(bufio.NewReader(conn)); answer != "" {
				_, _ = io.WriteString(conn, answer)
			}
		})
	}
}

func (d *daemon) instream(r *bufio.Reader) string {
	if command, err := r.ReadString(0); err != nil || command != "zINSTREAM\x00" {
		return "UNKNOWN COMMAND\x00"
	}
	var scanned bytes.Buffer
	for {
		var size uint32
		if err := binary.Read(r, binary.BigEndian, &size); err != nil {
			return ""
		}
		if size == 0 {
			break
		}
		if scanned.Len()+int(size) > d.limit {
			return "INSTREAM size limit exceeded. ERROR\x00"
		}
		if _, err := io.CopyN(&scanned, r, int64(size)); err != nil {
			return ""
		}
	}
	d.mu.Lock()
	answer := d.answer
	d.mu.Unlock()
	switch {
	case answer != nil:
		return answer()
	case bytes.Contains(scanned.Bytes(), []byte(signature)):
		return "stream: Test.Signature FOUND\x00"
	default:
		return "stream: OK\x00"
	}
}

func TestScan(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	for _, network := range []string{"unix", "tcp"} {
		for name, test := range map[string]struct {
			content []byte
			answer  string // of the daemon; "" is its own
			found   string
			err     string
		}{
			"empty":             {nil, "", "", ""},
			"clean":             {[]byte("hello"), "", "", ""},
			"large and clean":   {large, "", "", ""},
			"found":             {[]byte("a " + signature + " b"), "", "Test.Signature", ""},
			"found at the end":  {append(bytes.Clone(large), signature...), "", "Test.Signature", ""},
			"across two chunks": {append(make([]byte, chunkBytes-5), signature...), "", "Test.Signature", ""},
			"too long":          {make([]byte, 9<<20), "", "", "limit exceeded"},
			"error":             {nil, "stream: lstat() failed. ERROR\x00", "", "it says"},
			"no name":           {nil, "stream:  FOUND\x00", "", "it says"},
			"another protocol":  {nil, "HTTP/1.1 200 OK\r\n\r\n", "", "cut off"},
			"cut off":           {nil, "stream: O", "", "cut off"},
			"endless":           {nil, strings.Repeat("x", 1<<20), "", ""},
		} {
			t.Run(network+" "+name, func(t *testing.T) {
				d := startDaemon(t, network)
				if test.answer != "" {
					d.answers(func() string { return test.answer })
				}
				found, err := scan(t.Context(), d.address(), bytes.NewReader(test.content))
				wantErr := test.err != "" || name == "endless"
				if found != test.found || (err != nil) != wantErr || wantErr && !strings.Contains(err.Error(), test.err) {
					t.Errorf("found %q, error %v", found, err)
				}
			})
		}
	}
}

func TestScanWithoutDaemon(t *testing.T) {
	gone := startDaemon(t, "tcp")
	gone.Close()
	for _, address := range []string{gone.address(), "unix:/no/such", "http://localhost", ""} {
		if found, err := scan(t.Context(), address, strings.NewReader("hello")); err == nil {
			t.Errorf("%s: found %q", address, found)
		}
	}
}

func TestScanEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	d := startDaemon(t, "unix")
	d.answers(func() string { cancel(); <-release; return "" })
	defer close(release)
	if _, err := scan(ctx, d.address(), strings.NewReader("hello")); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// An unreadable upload is no clean one.
func TestScanOfBrokenFile(t *testing.T) {
	d := startDaemon(t, "unix")
	failure := errors.New("bad sector")
	r := io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(failure))
	if _, err := scan(t.Context(), d.address(), r); !errors.Is(err, failure) {
		t.Errorf("error is %v", err)
	}
}

// TestServer runs the hook as a server does.
func TestServer(t *testing.T) {
	d := startDaemon(t, "unix")
	t.Setenv(asHook, "1")
	t.Setenv("CLAMD_ADDRESS", d.address())
	url := startServer(t)
	put := func(content string) (int, string, protocol.Problem) {
		t.Helper()
		resp := request(t, "POST", url, strings.NewReader(content), len(content))
		defer resp.Body.Close()
		var p protocol.Problem
		if resp.StatusCode >= 300 {
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
		}
		return resp.StatusCode, resp.Header.Get("Location"), p
	}
	if status, _, p := put("hello"); status != http.StatusCreated {
		t.Errorf("clean: %d %+v", status, p)
	}
	if status, _, p := put(signature); status != http.StatusUnprocessableEntity || p.Code != "MALWARE_FOUND" || p.Detail != "Test.Signature was found in the file" {
		t.Errorf("found: %d %+v", status, p)
	}
	// While the daemon is out of order uploads wait, and then are finished.
	d.answers(func() string { return "stream: out of memory ERROR\x00" })
	status, path, p := put("hello again")
	if status != http.StatusCreated {
		t.Fatalf("out of order: %d %+v", status, p)
	}
	head := func() int {
		resp := request(t, "HEAD", strings.TrimSuffix(url, "/files/")+path, nil, 0)
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := head(); status != http.StatusServiceUnavailable {
		t.Errorf("HEAD while out of order: %d", status)
	}
	d.answers(nil)
	if status := head(); status != http.StatusOK {
		t.Errorf("HEAD then: %d", status)
	}
}

func request(t *testing.T, method, url string, body io.Reader, length int) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(tus.HeaderResumable, tus.Version)
	if body != nil {
		req.Header.Set("Content-Type", tus.ContentType)
		req.Header.Set("Upload-Length", strconv.Itoa(length))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// startServer returns the URL of a server whose hook is this test binary.
func startServer(t *testing.T) string {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mem, err := memory.New(nil)
	must(err)
	files, err := filestore.Open(t.TempDir(), mem, &filestore.Options{ByID: true})
	must(err)
	self, err := os.Executable()
	must(err)
	hooks, err := hook.Open(t.Context(), []string{self}, t.TempDir(), files, mem, &hook.Options{Events: []hook.Event{hook.PreFinish}})
	must(err)
	srv, err := server.New(files, mem, &server.Options{Hooks: hooks})
	must(err)
	hs := httptest.NewServer(srv)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		hs.Close()
		must(hooks.Close(context.Background()))
		must(files.Close())
		must(mem.Close())
	})
	return hs.URL + "/files/"
}
