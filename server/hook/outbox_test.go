package hook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamflow/streamflow/internal/lock"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store"
)

func TestLifeOfAnUpload(t *testing.T) {
	rec := newReceiver(t, nil)
	opts := signed(t)
	opts.Events = nil // the default
	r := newRig(t, opts, rec.URL)
	path := r.upload("hello")
	r.do("DELETE", path, nil)
	r.eventually("the end", func() bool { return rec.count(hook.PostTerminate) == 1 })
	// What asks comes while the request waits; what tells comes in order.
	told := slices.DeleteFunc(rec.events(), func(e hook.Event) bool { return strings.HasPrefix(string(e), "pre-") })
	if want := []hook.Event{hook.PostCreate, hook.PostFinish, hook.PostTerminate}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if rec.count(hook.PreCreate) != 1 || rec.count(hook.PreFinish) != 1 {
		t.Errorf("events are %v", rec.events())
	}
	ids := map[string]bool{}
	for _, m := range rec.messages() {
		ids[m.ID] = true
		if m.Event == hook.PostFinish {
			if m.Upload.Offset != 5 || filepath.Dir(m.Upload.Location) != r.dir || !strings.HasSuffix(path, m.Upload.ID) {
				t.Errorf("post-finish says %+v", m.Upload)
			}
		}
	}
	if len(ids) != 5 {
		t.Errorf("%d different ids", len(ids))
	}
	r.eventually("an empty outbox", func() bool { return len(r.messages()) == 0 })
	resp, err := http.Get(r.http.URL + "/metrics")
	r.must(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	r.must(err)
	for _, line := range []string{
		`streamflow_hook_calls_total{event="pre-create",result="done"} 1`,
		`streamflow_hook_calls_total{event="post-terminate",result="done"} 1`,
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("no %s in %s", line, text)
		}
	}
}

// A message that isn't taken is sent again, as it was, and later ones wait.
func TestDeliveryIsTriedAgain(t *testing.T) {
	var calls atomic.Int32
	rec := newReceiver(t, func(hook.Message) (int, string) {
		if calls.Add(1) <= 3 {
			return 500, ""
		}
		return 200, "thank you"
	})
	r := newRig(t, signed(t, hook.PostCreate, hook.PostFinish), rec.URL)
	r.upload("hello")
	r.eventually("delivery", func() bool { return rec.count(hook.PostFinish) == 1 })
	got := rec.messages()
	for _, m := range got[:4] {
		if m.ID != got[0].ID || m.Event != hook.PostCreate || !m.Time.Equal(got[0].Time) {
			t.Errorf("%+v, first %+v", m, got[0])
		}
	}
	if len(got) != 5 {
		t.Errorf("events are %v", rec.events())
	}
}

// What one target doesn't take doesn't keep the other ones waiting.
func TestTargetsApart(t *testing.T) {
	broken := newReceiver(t, func(hook.Message) (int, string) { return 500, "" })
	fine := newReceiver(t, nil)
	r := newRig(t, signed(t, hook.PostFinish), broken.URL, fine.URL)
	r.upload("hello")
	r.eventually("delivery", func() bool { return fine.count(hook.PostFinish) == 1 })
}

func TestDeliveryAfterRestart(t *testing.T) {
	var up atomic.Bool
	rec := newReceiver(t, func(hook.Message) (int, string) {
		if up.Load() {
			return 204, ""
		}
		return 503, ""
	})
	r := newRig(t, signed(t, hook.PostCreate, hook.PostFinish), rec.URL)
	r.upload("hello")
	r.eventually("an attempt", func() bool { return rec.count(hook.PostCreate) >= 1 })
	r.stop()
	before := rec.messages()
	up.Store(true)
	r.start()
	r.eventually("delivery", func() bool { return rec.count(hook.PostFinish) == 1 })
	after := rec.messages()[len(before):]
	// An attempt that the stop cut off may be heard of late.
	finished := slices.IndexFunc(after, func(m hook.Message) bool { return m.ID != before[0].ID })
	if finished < 1 || finished != len(after)-1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	r.eventually("an empty outbox", func() bool { return len(r.messages()) == 0 })
}

// The process may die at any moment around Finish: then the next one tells of
// it, once, as this one would have.
func TestDeathAroundFinish(t *testing.T) {
	for name, test := range map[string]struct {
		die   func(r *rig, up store.Upload, info store.Info)
		tells bool
	}{
		"before Finish": {func(r *rig, _ store.Upload, info store.Info) {
			r.must(r.hooks.Finishing(r.Context(), info))
		}, false},
		"after Finish": {func(r *rig, up store.Upload, info store.Info) {
			r.must(r.hooks.Finishing(r.Context(), info))
			_, err := up.Finish(r.Context(), store.Sum{})
			r.must(err)
		}, true},
		"discarded": {func(r *rig, up store.Upload, info store.Info) {
			r.must(r.hooks.Finishing(r.Context(), info))
			r.must(up.Abort(r.Context()))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			rec := newReceiver(t, nil)
			r := newRig(t, signed(t, hook.PostFinish), rec.URL)
			path := r.create("5", nil).header.Get("Location")
			id := path[strings.LastIndexByte(path, '/')+1:]
			up, _, err := r.files.Open(t.Context(), id)
			r.must(err)
			_, err = up.Write(t.Context(), 0, strings.NewReader("hello"), 5)
			r.must(err)
			info, err := up.Info(t.Context())
			r.must(err)
			test.die(r, up, info)
			r.stop()
			if n := len(rec.messages()); n != 0 {
				t.Fatalf("%d messages before the restart", n)
			}
			r.start()
			want := 0
			if test.tells {
				want = 1
			}
			if name == "before Finish" {
				want = 1
				if a := r.do("HEAD", path, nil); a.header.Get("Upload-Offset") != "5" {
					t.Errorf("HEAD: %d", a.status)
				}
			}
			r.eventually("messages", func() bool { return rec.count(hook.PostFinish) >= want })
			r.eventually("an empty outbox", func() bool { return len(r.messages()) == 0 })
			r.stop()
			r.start()
			r.stop()
			if n := rec.count(hook.PostFinish); n != want {
				t.Errorf("%d post-finish, want %d", n, want)
			}
			if want == 1 && (rec.messages()[0].Upload.ID != id || filepath.Dir(rec.messages()[0].Upload.Location) != r.dir) {
				t.Errorf("post-finish says %+v", rec.messages()[0].Upload)
			}
		})
	}
}

// Nor does who waits for the end of an upload wait for ever.
func TestDeathAroundDiscard(t *testing.T) {
	for name, goes := range map[string]bool{"before Abort": false, "after Abort": true} {
		t.Run(name, func(t *testing.T) {
			rec := newReceiver(t, nil)
			r := newRig(t, signed(t, hook.PostTerminate), rec.URL)
			path := r.create("5", nil).header.Get("Location")
			id := path[strings.LastIndexByte(path, '/')+1:]
			up, info, err := r.files.Open(t.Context(), id)
			r.must(err)
			r.hooks.Discarding(t.Context(), info)
			if goes {
				r.must(up.Abort(t.Context()))
			}
			r.stop()
			r.start()
			if !goes {
				r.eventually("nothing intended", func() bool { return len(r.messages()) == 0 })
				if n := rec.count(hook.PostTerminate); n != 0 {
					t.Errorf("%d post-terminate of an upload that is there", n)
				}
				r.do("DELETE", path, nil)
			}
			r.eventually("the message", func() bool { return rec.count(hook.PostTerminate) == 1 })
			r.eventually("an empty outbox", func() bool { return len(r.messages()) == 0 })
			r.stop()
			r.start()
			if messages := rec.messages(); len(messages) != 1 || messages[0].Upload.ID != id {
				t.Errorf("the messages are %+v", messages)
			}
		})
	}
}

func TestDeliveryIsGivenUp(t *testing.T) {
	rec := newReceiver(t, func(hook.Message) (int, string) { return 500, "" })
	opts := signed(t, hook.PostFinish)
	opts.GiveUpAfter = time.Nanosecond
	r := newRig(t, opts, rec.URL)
	r.upload("hello")
	r.eventually("giving up", func() bool { return strings.Contains(r.log.String(), "a message was set aside") })
	r.eventually("the file", func() bool {
		left := r.messages()
		return len(left) == 1 && filepath.Base(filepath.Dir(left[0])) == "set-aside"
	})
	for call, n := range r.hooks.Calls() {
		if call != (hook.Call{Event: hook.PostFinish, Result: hook.GaveUp}) || n != 1 {
			t.Errorf("%+v: %d", call, n)
		}
	}
}

// undelivered returns a rig that has stopped with two messages of an upload, and the
// file of the first.
func undelivered(t *testing.T) (*receiver, *rig, string) {
	t.Helper()
	rec := newReceiver(t, func(hook.Message) (int, string) { return 500, "" })
	r := newRig(t, signed(t, hook.PostCreate, hook.PostFinish), rec.URL)
	r.upload("hello")
	r.stop()
	return rec, r, slices.Min(r.messages())
}

// A damaged file is taken out of the way of the others.
func TestDamagedMessage(t *testing.T) {
	rec, r, name := undelivered(t)
	r.must(os.WriteFile(name, []byte("{"), 0o600))
	rec.accept()
	r.start()
	r.eventually("delivery", func() bool { return rec.count(hook.PostFinish) == 1 })
	if !strings.Contains(r.log.String(), "it is damaged") {
		t.Errorf("the log is %s", r.log)
	}
}

// A message that can't be read now, as where too many files are open, is delivered
// once it can.
func TestUnreadableMessage(t *testing.T) {
	rec, r, name := undelivered(t)
	aside := filepath.Join(t.TempDir(), "message")
	r.must(os.Rename(name, aside))
	r.must(os.Symlink(filepath.Base(name), name))
	before := len(rec.messages())
	rec.accept()
	r.start()
	r.eventually("an attempt", func() bool { return strings.Contains(r.log.String(), "read a message") })
	r.must(os.Rename(aside, name))
	r.eventually("an empty outbox", func() bool { return len(r.messages()) == 0 })
	got := slices.Compact(rec.events()[before:]) // an attempt that the stop cut off may be heard of late
	if !slices.Equal(got, []hook.Event{hook.PostCreate, hook.PostFinish}) {
		t.Errorf("told %v", got)
	}
}

// More uploads than are known in memory at once all get their turn.
func TestManyMessages(t *testing.T) {
	const uploads = 300
	rec := newReceiver(t, func(hook.Message) (int, string) { return 500, "" })
	opts := signed(t, hook.PostTerminate)
	opts.RetryDelay = time.Hour
	r := newRig(t, opts, rec.URL)
	for i := range uploads {
		r.hooks.Discarded(t.Context(), store.Info{ID: fmt.Sprint(i)})
	}
	r.stop()
	first := len(rec.messages())
	rec.accept()
	r.start()
	r.eventually("all messages", func() bool { return rec.count(hook.PostTerminate)-first >= uploads })
	seen := map[string]bool{}
	for _, m := range rec.messages()[first:] {
		seen[m.Upload.ID] = true
	}
	if len(seen) != uploads {
		t.Errorf("%d of %d were told", len(seen), uploads)
	}
}

// Close breaks off what hangs, which is then still to be delivered.
func TestCloseIsBounded(t *testing.T) {
	release := make(chan struct{})
	rec := newReceiver(t, func(hook.Message) (int, string) { <-release; return 204, "" })
	r := newRig(t, signed(t, hook.PostFinish), rec.URL)
	r.upload("hello")
	r.eventually("a call", func() bool { return rec.count(hook.PostFinish) == 1 })
	r.stop()
	close(release)
	if len(r.messages()) != 1 {
		t.Errorf("the outbox has %v", r.messages())
	}
}

func TestOutboxIsLocked(t *testing.T) {
	r := newRig(t, hook.Options{}, "true")
	_, err := hook.Open(t.Context(), []string{"true"}, r.outbox, r.files, r.mem, nil)
	if held := (*lock.HeldError)(nil); !errors.As(err, &held) {
		t.Errorf("a second one: %v", err)
	}
}

func TestForgottenHookIsWarnedOf(t *testing.T) {
	rec := newReceiver(t, func(hook.Message) (int, string) { return 500, "" })
	r := newRig(t, signed(t, hook.PostFinish), rec.URL)
	r.upload("hello")
	r.stop()
	r.targets = []string{"true"}
	r.start()
	if !strings.Contains(r.log.String(), "a hook that isn't configured") {
		t.Errorf("the log is %s", r.log)
	}
}

func TestOpenRefuses(t *testing.T) {
	r := newRig(t, hook.Options{}, "true")
	for name, test := range map[string]struct {
		target string
		opts   hook.Options
		want   string
	}{
		"no such executable":  {"/no/such", hook.Options{}, "no such file"},
		"not executable":      {"/etc/passwd", hook.Options{}, "permission denied"},
		"scheme":              {"ftp://a:secret@b/", hook.Options{}, "want http://, https://"},
		"no URL":              {"http://a:secret@b:c/", hook.Options{}, "can't be read"},
		"no host":             {"http:///x", hook.Options{}, "want http://, https://"},
		"authorization shown": {"true", hook.Options{Headers: []string{"authorization"}}, "never shown"},
		"cookie shown":        {"true", hook.Options{Headers: []string{"Cookie"}}, "never shown"},
		"negative timeout":    {"true", hook.Options{Timeout: -1}, "negative"},
	} {
		t.Run(name, func(t *testing.T) {
			hooks, err := hook.Open(context.Background(), []string{test.target}, t.TempDir(), r.files, r.mem, &test.opts)
			if err == nil {
				_ = hooks.Close(t.Context())
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error is %v", err)
			}
		})
	}
}
