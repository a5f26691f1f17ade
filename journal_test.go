package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/durable"
)

// interrupt uploads path until the destination has taken some of it, and ends
// there as a process does that gets a signal.
func interrupt(t *testing.T, s *memStore, opts streamflow.Options, path string) {
	t.Helper()
	interruptWith(t, s, opts, path, nil)
}

func interruptWith(t *testing.T, s *memStore, opts streamflow.Options, path string, metadata map[string]string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var reads atomic.Int64
	s.before = func(ctx context.Context, call string) error {
		if call == "Read" && reads.Add(1) > 20 {
			cancel()
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	}
	u := uploadWith(ctx, t, manager(t, s, opts), path, metadata)
	if _, err := wait(t, u); !errors.Is(err, context.Canceled) || u.State().Status != streamflow.Failed {
		t.Fatalf("ended with %v, %+v", err, u.State())
	}
	s.before = func(context.Context, string) error { return nil }
}

// mustGoOn uploads the file again, which goes on with the upload that is there.
func mustGoOn(t *testing.T, s *memStore, opts streamflow.Options, path string, want []byte) {
	t.Helper()
	u, err := manager(t, s, opts).UploadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	r := mustWait(t, u)
	mustEqual(t, object(t, s, "data.bin"), want)
	if r.ResumedBytes == 0 || s.created != 1 {
		t.Errorf("%d created, result %+v", s.created, r)
	}
}

// resumeOptions suit interrupt: many small units.
func resumeOptions(t *testing.T, s *memStore) streamflow.Options {
	s.readBytes = 1000
	return streamflow.Options{ChunkBytes: 4096, StateDir: t.TempDir(), Destination: "mem"}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestResumeAfterTheProcessEnded(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			opts := resumeOptions(t, s)
			p := content(100_000)
			path := writeFile(t, p)
			interrupt(t, s, opts, path)
			m := manager(t, s, opts)
			u, err := m.UploadFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			r := mustWait(t, u)
			mustEqual(t, object(t, s, "data.bin"), p)
			if r.ResumedBytes == 0 || r.RestartReason != "" || s.created != 1 || u.State().Resumed != r.ResumedBytes {
				t.Errorf("%d created, result %+v", s.created, r)
			}
			if left := entries(t, opts.StateDir); len(left) != 0 {
				t.Errorf("the journal still has %v", left)
			}
		})
	}
}

// What an earlier process wrote to the journal is good enough to go on.
func TestResumeWhereTheJournalCantBeWritten(t *testing.T) {
	s := newMemStore(false)
	opts := resumeOptions(t, s)
	p := content(100_000)
	path := writeFile(t, p)
	interrupt(t, s, opts, path)
	blocker := filepath.Join(entries(t, opts.StateDir)[0]+durable.TempSuffix, "blocker")
	if err := os.MkdirAll(blocker, 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	interrupt(t, s, opts, path)
	if !strings.Contains(log.String(), "the journal can't be used") || s.count() != 1 {
		t.Fatalf("%d uploads at the destination, logged %q", s.count(), log.String())
	}
	mustGoOn(t, s, opts, path, p)
}

// A path is any bytes, and need not be UTF-8.
func TestResumeFromAnyPath(t *testing.T) {
	s := newMemStore(false)
	opts := resumeOptions(t, s)
	dir := filepath.Join(t.TempDir(), "\xff")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Skipf("names of files are UTF-8 here: %v", err)
	}
	p := content(100_000)
	path := filepath.Join(dir, "data.bin")
	if err := os.WriteFile(path, p, 0o600); err != nil {
		t.Fatal(err)
	}
	interrupt(t, s, opts, path)
	mustGoOn(t, s, opts, path, p)
}

// Under another name the same file is another upload, and leaves the first alone.
func TestResumeUnderItsName(t *testing.T) {
	s := newMemStore(false)
	opts := resumeOptions(t, s)
	p := content(100_000)
	path := writeFile(t, p)
	interrupt(t, s, opts, path)
	m := manager(t, s, opts)
	for _, step := range []struct {
		name    string
		resumes bool
	}{{"other.bin", false}, {"data.bin", true}} {
		src, err := streamflow.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		src.SetName(step.name)
		u, err := m.Upload(t.Context(), src)
		if err != nil {
			t.Fatal(err)
		}
		r := mustWait(t, u)
		mustEqual(t, object(t, s, step.name), p)
		if resumed := r.ResumedBytes > 0; resumed != step.resumes || r.RestartReason != "" {
			t.Errorf("%s: result %+v", step.name, r)
		}
	}
	if left := entries(t, opts.StateDir); s.created != 2 || len(left) != 0 {
		t.Errorf("%d created, the journal still has %v", s.created, left)
	}
}

// What a destination does with an object it hears when the upload is created.
func TestResumeOnTheSameTerms(t *testing.T) {
	type terms struct {
		noReplace bool
		store     string
		metadata  map[string]string
	}
	for name, tc := range map[string]struct {
		before, after terms
		reason        string // or "" where it goes on
	}{
		"may replace no more":   {terms{}, terms{noReplace: true}, "replace"},
		"may replace now":       {terms{noReplace: true}, terms{}, "replace"},
		"the same metadata":     {terms{metadata: map[string]string{"a": "1", "b": "\xff"}}, terms{metadata: map[string]string{"b": "\xff", "a": "1"}}, ""},
		"other metadata":        {terms{metadata: map[string]string{"a": "1"}}, terms{metadata: map[string]string{"a": "2"}}, "keep"},
		"no metadata now":       {terms{metadata: map[string]string{"a": "1"}}, terms{}, "keep"},
		"the store's own terms": {terms{}, terms{store: "text/plain"}, "keep"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMemStore(false)
			opts := resumeOptions(t, s)
			p := content(100_000)
			path := writeFile(t, p)
			opts.NoReplace, opts.Terms = tc.before.noReplace, tc.before.store
			interruptWith(t, s, opts, path, tc.before.metadata)
			opts.NoReplace, opts.Terms = tc.after.noReplace, tc.after.store
			r := mustWait(t, uploadWith(t.Context(), t, manager(t, s, opts), path, tc.after.metadata))
			mustEqual(t, object(t, s, "data.bin"), p)
			last := s.specs[len(s.specs)-1]
			if last.NoReplace != tc.after.noReplace || !maps.Equal(last.Metadata, tc.after.metadata) {
				t.Errorf("created as %+v", s.specs)
			}
			if (r.RestartReason == "") != (tc.reason == "") || (r.ResumedBytes > 0) != (tc.reason == "") || !strings.Contains(r.RestartReason, tc.reason) {
				t.Errorf("result %+v", r)
			}
			if s.count() != 1 {
				t.Errorf("%d uploads at the destination", s.count())
			}
		})
	}
}

// uploadWith begins an upload of the file at path with metadata.
func uploadWith(ctx context.Context, t *testing.T, m *streamflow.Manager, path string, metadata map[string]string) *streamflow.Upload {
	t.Helper()
	src, err := streamflow.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	src.SetMetadata(metadata)
	u, err := m.Upload(ctx, src)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestBeginAnew(t *testing.T) {
	rewrite := func(p []byte) func(*testing.T, *memStore, *streamflow.Options, string) {
		return func(t *testing.T, _ *memStore, _ *streamflow.Options, path string) {
			if err := os.WriteFile(path, p, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, time.Unix(1e9, 0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(*testing.T, *memStore, *streamflow.Options, string)
		reason string
	}{
		"other size":  {rewrite(content(50_000)), "source changed since the upload began: size was 100000 bytes, is 50000"},
		"other time":  {rewrite(content(100_000)), "source changed since the upload began: modified "},
		"gone":        {func(_ *testing.T, s *memStore, _ *streamflow.Options, _ string) { s.lose() }, "gone at the destination"},
		"not allowed": {func(_ *testing.T, _ *memStore, o *streamflow.Options, _ string) { o.NoResume = true }, "turned off"},
		"corrupt": {func(t *testing.T, s *memStore, o *streamflow.Options, _ string) {
			for _, name := range entries(t, o.StateDir) {
				if err := os.WriteFile(name, []byte(`{"version":2,"upl`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s.lose()
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for order, unordered := range orders {
				s := newMemStore(unordered)
				opts := resumeOptions(t, s)
				path := writeFile(t, content(100_000))
				interrupt(t, s, opts, path)
				tc.change(t, s, &opts, path)
				m := manager(t, s, opts)
				u, err := m.UploadFile(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				r := mustWait(t, u)
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				mustEqual(t, object(t, s, "data.bin"), want)
				if r.ResumedBytes != 0 || !strings.Contains(r.RestartReason, tc.reason) {
					t.Errorf("%s: result %+v", order, r)
				}
				if s.count() != 1 {
					t.Errorf("%s: %d uploads at the destination", order, s.count())
				}
			}
		})
	}
}

// A process that died between finishing and forgetting must not lose or repeat
// what is finished.
func TestFinishedButNotForgotten(t *testing.T) {
	for name, changed := range map[string]bool{"same source": false, "other terms": false, "changed source": true} {
		t.Run(name, func(t *testing.T) {
			s := newMemStore(false)
			opts := resumeOptions(t, s)
			p := content(100_000)
			path := writeFile(t, p)
			interrupt(t, s, opts, path)
			for _, u := range s.uploads {
				u.data, u.info.Offset, u.info.Complete = p, int64(len(p)), true
			}
			if changed {
				if err := os.WriteFile(path, p[:10], 0o600); err != nil {
					t.Fatal(err)
				}
			}
			opts.NoReplace = name == "other terms"
			m := manager(t, s, opts)
			u, err := m.UploadFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			r := mustWait(t, u)
			want := 1
			if changed {
				want = 2
			}
			if s.created != want || s.count() != want {
				t.Errorf("%d created, %d there, result %+v", s.created, s.count(), r)
			}
		})
	}
}

// Trouble with the journal costs at most the chance to resume, and is told once.
func TestJournalIsLost(t *testing.T) {
	s := newMemStore(false)
	opts := resumeOptions(t, s)
	var log bytes.Buffer
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	m := manager(t, s, opts)
	if err := os.RemoveAll(opts.StateDir); err != nil {
		t.Skipf("a directory in use can't be removed here: %v", err)
	}
	p := content(100_000)
	path := writeFile(t, p)
	for range 3 {
		u, err := m.UploadFile(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		mustWait(t, u)
		mustEqual(t, object(t, s, "data.bin"), p)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %q", n, log.String())
	}
}

func TestSameUploadTwiceAtOnce(t *testing.T) {
	s := newMemStore(false)
	s.before = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	m := manager(t, s, streamflow.Options{StateDir: t.TempDir(), Destination: "mem"})
	path := writeFile(t, content(10))
	first, err := m.UploadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.UploadFile(t.Context(), path)
	if !errors.Is(err, streamflow.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := wait(t, first); !errors.Is(err, streamflow.ErrClosed) {
		t.Fatal(err)
	}
}
