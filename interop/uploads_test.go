package interop

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A visitor is how a client comes to a server; most bring nothing.
type visitor struct {
	Origin  string            `json:"origin,omitempty"`  // of its page, if not the server's
	Headers map[string]string `json:"headers,omitempty"` // with each request
	query   string            // of the endpoint
}

// A stage is one client before one server.
type stage struct {
	*testing.T
	client client
	server *server
	proxy  *proxy
	file   string
	bytes  int64 // of the file
	job    job
	visitor
}

// A play is one case: what the client is told, and what happens meanwhile.
type play struct {
	name  string
	bytes int64
	needs ability
	job   job
	run   func(*stage) error // default: whole
}

var plays = []play{
	{name: "small", bytes: 11},
	{name: "empty", bytes: 0},
	{name: "large", bytes: 64*mib + 3},
	{name: "in chunks", bytes: 5*mib + 3, job: job{Chunk: mib}},
	{name: "in chunks that divide it", bytes: 4 * mib, job: job{Chunk: mib}},
	{name: "created with its bytes", bytes: 3*mib + 3, needs: together, job: job{Together: true}},
	{name: "deferred length", bytes: 5*mib + 3, needs: deferring, job: job{Defer: true, Chunk: mib}},
	{name: "deferred length, chunks that divide it", bytes: 2 * mib, needs: deferring, job: job{Defer: true, Chunk: mib}},
	{name: "parallel", bytes: 8*mib + 3, needs: parallel, job: job{Parallel: 3}},
	{name: "connection cut", bytes: 16*mib + 3, job: job{Retry: true}, run: cut},
	{name: "parallel, connection cut", bytes: 16*mib + 3, needs: parallel, job: job{Retry: true, Parallel: 3}, run: cut},
	{name: "server killed", bytes: 16*mib + 3, job: job{Retry: true}, run: killed},
	{name: "paused", bytes: 16*mib + 3, needs: pausing, job: job{Then: "pause", Retry: true}, run: paused},
	{name: "left and taken up again", bytes: 16*mib + 3, job: job{Then: "leave"}, run: leftAndTakenUp},
	{name: "left and gone", bytes: 16*mib + 3, job: job{Then: "leave"}, run: leftAndGone},
	{name: "terminated", bytes: 16*mib + 3, needs: terminating, job: job{Then: "terminate"}, run: terminated},
	{name: "too large", bytes: maxBytes + 1, run: tooLarge},
}

// TestUploads plays every case with every client before every server.
func TestUploads(t *testing.T) {
	for _, p := range products {
		for _, c := range clients {
			if testing.Short() && p.name != streamflow && c.name != streamflow {
				continue // others among themselves: the measure, but nothing of ours
			}
			t.Run(p.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				server := startServer(t, p)
				proxy := startProxy(t, server.address())
				for _, play := range plays {
					if play.needs&^c.can != 0 {
						continue
					}
					t.Run(play.name, func(t *testing.T) {
						perform(&stage{T: t, client: c, server: server, proxy: proxy}, play)
					})
				}
			})
		}
	}
}

func perform(s *stage, p play) {
	s.file, s.bytes = source(s.T, p.bytes), p.bytes
	s.job = p.job
	s.job.visitor = s.visitor
	s.job.Endpoint, s.job.File, s.job.Name = s.proxy.endpoint()+s.query, s.file, sourceName
	s.job.Timeout = patience.Milliseconds()
	if d := known(s.client.name, s.server.name, p.name); d != nil && d.sees == "timeout" {
		s.job.Timeout = littlePatience.Milliseconds()
	}
	s.job.State = filepath.Join(s.TempDir(), "state")
	s.proxy.after(0, nil)
	run := p.run
	if run == nil {
		run = whole
	}
	judge(s.T, s.client.name, s.server.name, p.name, run(s))
}

func (s *stage) send(j job) (result, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience+patience/2)
	defer cancel()
	r, err := s.client.send(ctx, j)
	if err != nil {
		s.Fatal(err)
	}
	return r, r.err()
}

// whole sends the file, and looks for it and its name.
func whole(s *stage) error {
	r, err := s.send(s.job)
	if err != nil {
		return err
	}
	if err := s.server.holds(r.URL, s.file); err != nil {
		return err
	}
	return s.named(r.URL)
}

// named asks the server for the name that the file was sent with.
func (s *stage) named(url string) error {
	resp, err := s.ask(http.MethodHead, url)
	if err != nil {
		return err
	}
	want := "filename " + base64.StdEncoding.EncodeToString([]byte(sourceName))
	if got := resp.Header.Get("Upload-Metadata"); !slices.Contains(strings.Split(got, ","), want) {
		return fmt.Errorf("the metadata is %q, want %q in it", got, want)
	}
	return nil
}

func (s *stage) ask(method, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.Context(), method, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for name, value := range s.Headers {
		req.Header.Set(name, value)
	}
	req.Close = true // the proxy may hold a connection that is kept
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	return resp, resp.Body.Close()
}

// cut ends the connections in the middle.
func cut(s *stage) error {
	s.proxy.after(6*mib, func(net.Conn) { s.proxy.cut() })
	return whole(s)
}

// killed kills the server in the middle, and starts it again.
func killed(s *stage) error {
	var restarted error
	s.proxy.after(6*mib, func(net.Conn) {
		s.server.kill()
		restarted = s.server.start()
	})
	return errors.Join(whole(s), restarted)
}

// stopInTheMiddle has the client stop when some of the upload has passed. A
// client that counts itself also counts what its kernel holds, 4 MiB at most by
// default: it must not stop, and come back, before the proxy has lost something.
func (s *stage) stopInTheMiddle() {
	const lose = 2 * mib
	left := make(chan struct{})
	s.job.StopAt, s.job.left = lose+6*mib, left
	s.proxy.after(lose, func(server net.Conn) {
		s.proxy.hold(server)
		close(left)
	})
}

func paused(s *stage) error {
	s.stopInTheMiddle()
	return whole(s)
}

// leave stops in the middle, and forgets how.
func (s *stage) leave() (result, error) {
	s.stopInTheMiddle()
	r, err := s.send(s.job)
	s.job.Then, s.job.left, s.job.Retry = "", nil, true
	s.proxy.after(0, nil)
	return r, err
}

// leftAndTakenUp stops in the middle and has the client come back.
func leftAndTakenUp(s *stage) error {
	first, err := s.leave()
	if err != nil {
		return err
	}
	resp, err := s.ask(http.MethodHead, first.URL)
	if err != nil {
		return err
	}
	stored, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || stored == 0 {
		return fmt.Errorf("nothing is there to be taken up: %s %v", resp.Status, resp.Header)
	}
	s.proxy.after(0, nil)
	again, err := s.send(s.job)
	if err != nil {
		return err
	}
	if again.URL != first.URL {
		return fmt.Errorf("%s was taken up as %s", first.URL, again.URL)
	}
	const headers = 64 * kib
	if sent := s.proxy.sent(); sent > s.bytes-stored+headers {
		return fmt.Errorf("%d bytes were sent of %d, and %d were there", sent, s.bytes, stored)
	}
	return s.server.holds(again.URL, s.file)
}

// leftAndGone has the upload removed before the client comes back.
func leftAndGone(s *stage) error {
	first, err := s.leave()
	if err != nil {
		return err
	}
	resp, err := s.ask(http.MethodDelete, first.URL)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("DELETE: %s", resp.Status)
	}
	return whole(s)
}

// terminated has the client remove the upload.
func terminated(s *stage) error {
	s.stopInTheMiddle()
	r, err := s.send(s.job)
	if err != nil {
		return err
	}
	resp, err := s.ask(http.MethodHead, r.URL)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusGone {
		return fmt.Errorf("%s is still there: %s", r.URL, resp.Status)
	}
	if _, err := os.Stat(s.server.file(r.URL)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("its file is still there: %w", err)
	}
	return nil
}

// tooLarge sends more than the server takes.
func tooLarge(s *stage) error {
	r, err := s.send(s.job)
	if err == nil {
		return fmt.Errorf("%s was taken", r.URL)
	}
	if r.Status != http.StatusRequestEntityTooLarge && s.client.name != streamflow {
		return fmt.Errorf("refused otherwise: %w", err)
	}
	if sent := s.proxy.sent(); sent > 64*kib {
		return fmt.Errorf("%d bytes were sent before the refusal", sent)
	}
	return nil
}
