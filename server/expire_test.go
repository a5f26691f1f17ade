package server_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
)

func TestExpires(t *testing.T) { overStores(t, expires) }

func expires(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, &server.Options{ExpireAfter: time.Hour})
	created, _ := r.do("POST", "/files/", nil, "Upload-Length", "10")
	path := created.Header.Get("Location")
	withUpload, _ := r.do("POST", "/files/", strings.NewReader("a"), "Upload-Length", "10", "Content-Type", tus.ContentType)
	patched, _ := r.patch(path, "0", strings.NewReader("01234"))
	refused, _ := r.patch(path, "0", strings.NewReader("01234"))
	asked, _ := r.do("HEAD", path, nil)
	partial, _ := r.do("HEAD", r.make("{whole}"), nil)
	for name, resp := range map[string]*http.Response{
		"POST": created, "POST with upload": withUpload, "PATCH": patched, "PATCH at another offset": refused, "HEAD": asked, "whole partial": partial,
	} {
		at, err := time.Parse(http.TimeFormat, resp.Header.Get("Upload-Expires"))
		if left := time.Until(at); err != nil || left < 50*time.Minute || left > time.Hour {
			t.Errorf("%s: Upload-Expires is %q", name, resp.Header.Get("Upload-Expires"))
		}
	}
	r.age(path, 59*time.Minute)
	resp, _ := r.patch(path, "5", strings.NewReader("56"))
	if at, _ := time.Parse(http.TimeFormat, resp.Header.Get("Upload-Expires")); time.Until(at) < 50*time.Minute {
		t.Errorf("new bytes don't put it off: %v", resp.Header)
	}
	resp, _ = r.patch(path, "7", strings.NewReader("789"))
	if got := resp.Header.Get("Upload-Expires"); got != "" || resp.StatusCode != http.StatusNoContent {
		t.Errorf("%s, and a finished upload expires at %s", resp.Status, got)
	}
}

func TestRemoveExpired(t *testing.T) { overStores(t, removeExpired) }

func removeExpired(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, &server.Options{ExpireAfter: time.Hour})
	fresh, finished, expired := r.make("{half}"), r.make("{done}"), r.make("{expired}")
	r.age(finished, 2*time.Hour)
	busy := r.create("Upload-Length", "10")
	under := r.half(busy, 10, "01234")
	r.reading()
	r.age(busy, 2*time.Hour)
	r.must(r.server.RemoveExpired(t.Context()))
	for path, want := range map[string]int{fresh: 200, finished: 200, expired: 404} {
		if resp, _ := r.do("HEAD", path, nil); resp.StatusCode != want {
			t.Errorf("HEAD is %s, want %d", resp.Status, want)
		}
	}
	_, err := io.WriteString(under, "56789")
	r.must(err)
	if resp, text := r.answer(under); resp.StatusCode != http.StatusNoContent {
		t.Errorf("upload under way: %s %s", resp.Status, text)
	}
	if n := r.unfinished(); n != 1 {
		t.Errorf("%d uploads are unfinished", n)
	}
}

func TestServeRemovesExpired(t *testing.T) {
	r := newRig(t, &server.Options{ExpireAfter: time.Hour})
	r.make("{expired}")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Serve(ctx, ln) }()
	for r.unfinished() > 0 && len(ended) == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	r.must(<-ended)
}

func TestRemoveExpiredFinished(t *testing.T) {
	r := newRig(t, &server.Options{ExpireFinishedAfter: time.Hour})
	fresh, old, replaced, unfinished := r.make("{done}"), r.make("{done}"), r.make("{done}"), r.make("{expired}")
	joined := r.make("{final}")
	for _, path := range []string{old, replaced, joined} {
		r.age(path, 2*time.Hour)
	}
	r.must(os.WriteFile(r.stat(replaced).Location, []byte("mine"), 0o600))
	if resp, _ := r.do("HEAD", old, nil); resp.StatusCode != http.StatusGone || resp.Header.Get("Upload-Expires") != "" {
		t.Errorf("HEAD of an expired one is %s %v", resp.Status, resp.Header)
	}
	r.must(r.server.RemoveExpired(t.Context()))
	for path, want := range map[string]int{fresh: 200, old: 404, replaced: 410, joined: 404, unfinished: 200} {
		if resp, _ := r.do("HEAD", path, nil); resp.StatusCode != want {
			t.Errorf("HEAD is %s, want %d", resp.Status, want)
		}
	}
	if got := r.content(replaced); string(got) != "mine" {
		t.Errorf("content is %q", got)
	}
}
