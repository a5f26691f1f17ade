package reload_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/internal/reload"
)

// A rig is a Value of one file, which fails to load where that says "broken".
type rig struct {
	*testing.T
	path  string
	log   bytes.Buffer
	reads int
	value *reload.Value[string]
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, path: filepath.Join(t.TempDir(), "file")}
	r.write("one")
	r.age()
	value, err := reload.Open(r.load, slog.New(slog.NewTextHandler(&r.log, nil)), r.path)
	if err != nil {
		t.Fatal(err)
	}
	r.value = value
	return r
}

func (r *rig) load() (string, error) {
	r.reads++
	text, err := os.ReadFile(r.path)
	if err == nil && string(text) == "broken" {
		err = errors.New("it is broken")
	}
	return string(text), err
}

func (r *rig) write(text string) {
	r.Helper()
	if err := os.WriteFile(r.path, []byte(text), 0o600); err != nil {
		r.Fatal(err)
	}
}

// age makes the file look as if it was written long before now.
func (r *rig) age() {
	r.Helper()
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(r.path, past, past); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) want(text string) {
	r.Helper()
	if got := r.value.Get(); got != text {
		r.Errorf("value is %q, want %q", got, text)
	}
}

func TestValue(t *testing.T) {
	for name, test := range map[string]struct {
		change func(r *rig)
		want   string
		logged string
	}{
		"unchanged": {func(*rig) {}, "one", ""},
		"rewritten": {func(r *rig) { r.write("another") }, "another", "a changed file was read"},
		"replaced": {func(r *rig) {
			old := r.path
			r.path += ".new"
			r.write("two")
			r.age() // its time and size are those of the old one
			if err := os.Rename(r.path, old); err != nil {
				r.Fatal(err)
			}
			r.path = old
		}, "two", "a changed file was read"},
		"broken":  {func(r *rig) { r.write("broken") }, "one", "it is broken"},
		"removed": {func(r *rig) { _ = os.Remove(r.path) }, "one", "what it said before still holds"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				test.change(r)
				r.want("one") // it is not looked at for every request
				time.Sleep(time.Second)
				r.want(test.want)
				time.Sleep(time.Second)
				r.want(test.want)
				if log := r.log.String(); strings.Count(log, "\n") > 1 || !strings.Contains(log, test.logged) {
					t.Errorf("log is %q, want one line with %q", log, test.logged)
				}
			})
		})
	}
}

// A change that the file's time doesn't show is seen as long as there may be one.
func TestUnsettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		now := time.Now()
		r.write("two")
		if err := os.Chtimes(r.path, now, now); err != nil {
			t.Fatal(err)
		}
		if err := r.value.Reload(); err != nil {
			t.Fatal(err)
		}
		r.want("two")
		r.write("six")
		if err := os.Chtimes(r.path, now, now); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.want("six")
	})
}

func TestReload(t *testing.T) {
	r := newRig(t)
	r.write("two")
	if err := r.value.Reload(); err != nil {
		t.Fatal(err)
	}
	r.want("two")
	r.write("broken")
	if err := r.value.Reload(); err == nil {
		t.Error("a broken file is no error")
	}
	r.want("two")
}

func TestOpen(t *testing.T) {
	_, err := reload.Open(func() (string, error) { return "", errors.New("broken") }, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Error("a broken file opens")
	}
}
