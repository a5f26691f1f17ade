package server_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
)

// A witness notes what becomes of the uploads of a rig. What err is stands in
// the way of Finish.
type witness struct {
	err  error
	seen []string
	ids  []string
}

func (w *witness) watch(s *server.Server) {
	s.OnLifecycle(func(list string, info store.Info) error {
		w.seen = append(w.seen, list)
		w.ids = append(w.ids, info.ID)
		return w.err
	})
}

func (w *witness) want(t *testing.T, lists ...string) {
	t.Helper()
	if !slices.Equal(w.seen, lists) {
		t.Errorf("seen is %v, want %v", w.seen, lists)
	}
	w.seen = nil
}

var (
	errPutOff  = store.Transient(errors.New("the scanner is away"))
	errRefused = &protocol.Refusal{Status: http.StatusForbidden, Code: protocol.CodeDenied}
)

// finishes are the ways an upload comes to have all its bytes. Each returns the
// answer to the request that brings the last of them.
var finishes = map[string]func(r *rig) *http.Response{
	"creation of length 0": func(r *rig) *http.Response {
		resp, _ := r.do("POST", "/files/", nil, "Upload-Length", "0")
		return resp
	},
	"creation with upload": func(r *rig) *http.Response {
		resp, _ := r.do("POST", "/files/", strings.NewReader("hello"), "Upload-Length", "5", "Content-Type", tus.ContentType)
		return resp
	},
	"append": func(r *rig) *http.Response {
		resp, _ := r.patch(r.create("Upload-Length", "5"), "0", strings.NewReader("hello"))
		return resp
	},
	"length declared last": func(r *rig) *http.Response {
		resp, _ := r.patch(r.create("Upload-Defer-Length", "1"), "0", strings.NewReader("hello"), "Upload-Length", "5")
		return resp
	},
	"concatenation": func(r *rig) *http.Response {
		part := r.create("Upload-Length", "5", "Upload-Concat", "partial")
		r.patch(part, "0", strings.NewReader("hello"))
		resp, _ := r.do("POST", "/files/", nil, "Upload-Concat", "final;"+part+" "+part)
		return resp
	},
}

func TestLifecycleOfFinishedUploads(t *testing.T) {
	for name, finish := range finishes {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			w := &witness{}
			w.watch(r.server)
			if resp := finish(r); resp.StatusCode >= 300 {
				t.Errorf("answer is %s", resp.Status)
			}
			want := []string{"created", "finishing", "finished"}
			if name == "concatenation" {
				want = append([]string{"created"}, want...)
			}
			w.want(t, want...)
		})
	}
}

func TestRefusedBeforeFinish(t *testing.T) {
	for name, finish := range finishes {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			w := &witness{err: errRefused}
			w.watch(r.server)
			resp := finish(r)
			if resp.StatusCode != http.StatusForbidden || resp.Header.Get("Upload-Offset") != "" {
				t.Errorf("answer is %s, offset %s", resp.Status, resp.Header.Get("Upload-Offset"))
			}
			if got := w.seen[len(w.seen)-3:]; !slices.Equal(got, []string{"created", "finishing", "discarded"}) {
				t.Errorf("seen is %v", w.seen)
			}
			if _, err := r.files.Stat(t.Context(), w.ids[len(w.ids)-1]); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the refused upload is there: %v", err)
			}
		})
	}
}

// An upload whose end is put off keeps its bytes, never looks finished, and is
// finished by the next request.
func TestPutOffBeforeFinish(t *testing.T) {
	for name, again := range map[string]func(r *rig, path string) (*http.Response, []byte){
		"HEAD":  func(r *rig, path string) (*http.Response, []byte) { return r.do("HEAD", path, nil) },
		"PATCH": func(r *rig, path string) (*http.Response, []byte) { return r.patch(path, "5", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			w := &witness{err: errPutOff}
			w.watch(r.server)
			path := r.create("Upload-Length", "5")
			for _, answer := range []func() (*http.Response, []byte){
				func() (*http.Response, []byte) { return r.patch(path, "0", strings.NewReader("hello")) },
				func() (*http.Response, []byte) { return again(r, path) },
			} {
				resp, _ := answer()
				if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Upload-Offset") == "5" || resp.Header.Get("Retry-After") == "" {
					t.Errorf("answer is %s, offset %s", resp.Status, resp.Header.Get("Upload-Offset"))
				}
			}
			w.want(t, "created", "finishing", "finishing")
			w.err = nil
			if resp, text := again(r, path); resp.StatusCode >= 300 || resp.Header.Get("Upload-Offset") != "5" {
				t.Errorf("then the answer is %s, offset %s: %s", resp.Status, resp.Header.Get("Upload-Offset"), text)
			}
			w.want(t, "finishing", "finished")
			if got := string(r.content(path)); got != "hello" {
				t.Errorf("content is %q", got)
			}
		})
	}
}

// A creation that brought all bytes is found again though it couldn't be
// finished: the client hears of the Location.
func TestPutOffAtCreation(t *testing.T) {
	r := newRig(t, nil)
	w := &witness{err: errPutOff}
	w.watch(r.server)
	resp := finishes["creation with upload"](r)
	path := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusCreated || resp.Header.Get("Upload-Offset") != "4" {
		t.Fatalf("answer is %s, offset %s", resp.Status, resp.Header.Get("Upload-Offset"))
	}
	w.err = nil
	if resp, _ := r.patch(path, "4", strings.NewReader("o")); resp.StatusCode != http.StatusConflict {
		t.Errorf("the last byte again: %s", resp.Status)
	}
	if got := string(r.content(path)); got != "hello" {
		t.Errorf("content is %q", got)
	}
}

// What no client has heard of doesn't stay.
func TestPutOffWithoutLocation(t *testing.T) {
	for _, name := range []string{"creation of length 0", "concatenation"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			w := &witness{err: errPutOff}
			w.watch(r.server)
			if resp := finishes[name](r); resp.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("answer is %s", resp.Status)
			}
			if _, err := r.files.Stat(t.Context(), w.ids[len(w.ids)-1]); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the upload is there: %v", err)
			}
		})
	}
}

func TestLifecycleOfDiscardedUploads(t *testing.T) {
	for name, test := range map[string]struct {
		opts    *server.Options
		discard func(r *rig, path string)
	}{
		"on request": {nil, func(r *rig, path string) { r.do("DELETE", path, nil) }},
		"expired": {&server.Options{ExpireAfter: time.Nanosecond}, func(r *rig, _ string) {
			r.must(r.server.RemoveExpired(context.Background()))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, test.opts)
			w := &witness{}
			w.watch(r.server)
			test.discard(r, r.create("Upload-Length", "5"))
			w.want(t, "created", "discarded")
		})
	}
}

// TestHeadWhileAnotherNodeHasIt: clients give an upload up whose HEAD is a 4xx.
func TestHeadWhileAnotherNodeHasIt(t *testing.T) {
	for name, op := range map[string]storetest.Op{"opening": storetest.OpOpen, "finishing": storetest.OpFinish} {
		t.Run(name, func(t *testing.T) {
			inner := newRig(t, nil)
			faulty := storetest.NewFaulty(inner.files)
			r := newRigOver(t, faulty, inner.mem, nil)
			r.files, r.dir = inner.files, inner.dir
			upload := r.create("Upload-Length", "10")
			faulty.Add(storetest.Fault{Op: storetest.OpFinish, Call: 1, Err: store.Transient(errors.New("disk busy"))})
			r.patch(upload, "0", strings.NewReader("0123456789"))
			faulty.Add(storetest.Fault{Op: op, Call: faulty.Calls(op) + 1, Err: store.ErrSuperseded})
			if resp, _ := r.do("HEAD", upload, nil); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
				t.Errorf("HEAD is %s", resp.Status)
			}
			if got := r.offset(upload); got != "10" {
				t.Errorf("then the offset is %q", got)
			}
		})
	}
}
