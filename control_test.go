package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

func TestPauseAndResume(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		synctest.Test(t, func(t *testing.T) {
			s.readBytes = 1000
			s.before = func(ctx context.Context, call string) error { // slow
				if call != "Read" {
					return nil
				}
				select {
				case <-time.After(10 * time.Millisecond):
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			m := manager(t, s, streamflow.Options{ChunkBytes: 8192})
			p := content(100_000)
			u := begin(t, m, p, stream)
			for range 3 {
				time.Sleep(95 * time.Millisecond)
				u.Pause()
				u.Pause()
				synctest.Wait()
				before := u.State()
				if before.Status != streamflow.Paused {
					t.Fatalf("state %+v", before)
				}
				time.Sleep(time.Hour)
				if after := u.State(); after != before {
					t.Fatalf("went on while paused: %+v, %+v", before, after)
				}
				u.Resume()
				u.Resume()
			}
			mustWait(t, u)
			mustEqual(t, object(t, s, "data.bin"), p)
			u.Pause() // too late, no effect
			if got := u.State().Status; got != streamflow.Finished {
				t.Errorf("status %s", got)
			}
		})
	})
}

func TestAbort(t *testing.T) {
	for name, at := range map[string]time.Duration{"at once": 0, "in the middle": 100 * time.Millisecond, "paused": -1, "failing": -2} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, s *memStore, stream bool) {
				synctest.Test(t, func(t *testing.T) {
					s.before = func(ctx context.Context, call string) error {
						if call == "Abort" {
							return nil
						}
						if at == -2 && call == "Write" {
							return store.Transient(errBroken)
						}
						select {
						case <-time.After(10 * time.Millisecond):
							return nil
						case <-ctx.Done():
							return context.Cause(ctx)
						}
					}
					m := manager(t, s, streamflow.Options{ChunkBytes: 8192, StateDir: t.TempDir(), Destination: "mem"})
					u := begin(t, m, content(1_000_000), stream)
					switch {
					case at == -1:
						time.Sleep(100 * time.Millisecond)
						u.Pause()
						synctest.Wait()
					case at == -2:
						time.Sleep(10 * time.Second)
					default:
						time.Sleep(at)
					}
					for range 2 {
						if err := u.Abort(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					if s.count() != 0 {
						t.Error("something is left at the destination")
					}
					if _, err := wait(t, u); !errors.Is(err, streamflow.ErrAborted) || u.State().Status != streamflow.Aborted {
						t.Errorf("ended with %v, %+v", err, u.State())
					}
				})
			})
		})
	}
}

func TestAbortAfterTheEnd(t *testing.T) {
	s := newMemStore(false)
	m := manager(t, s, streamflow.Options{Retries: -1})
	u := begin(t, m, content(10), false)
	mustWait(t, u)
	if err := u.Abort(t.Context()); !errors.Is(err, streamflow.ErrFinished) {
		t.Errorf("finished: got %v", err)
	}
	s.before = func(_ context.Context, call string) error {
		if call == "Write" {
			return errBroken
		}
		return nil
	}
	u = begin(t, m, content(10), false)
	if _, err := wait(t, u); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if err := u.Abort(t.Context()); err != nil || s.count() != 1 || u.State().Status != streamflow.Aborted {
		t.Errorf("failed: got %v, %d uploads, %+v", err, s.count(), u.State())
	}
}

// Once an upload has failed another may go on with it. Then it isn't for the first one to
// discard.
func TestAbortOfWhatGoesOn(t *testing.T) {
	for name, c := range map[string]struct {
		read func(context.Context) error // of the second upload
		want error
	}{
		"under way": {func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }, streamflow.ErrBusy},
		"finished":  {func(context.Context) error { return nil }, streamflow.ErrFinished},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMemStore(false)
			opts := resumeOptions(t, s)
			m := manager(t, s, opts)
			path := writeFile(t, content(100_000))
			s.before = func(_ context.Context, call string) error {
				if call == "Write" {
					return errBroken
				}
				return nil
			}
			first, err := m.UploadFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := wait(t, first); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			reading := make(chan struct{}, 1000)
			s.before = func(ctx context.Context, call string) error {
				if call == "Read" {
					reading <- struct{}{}
					return c.read(ctx)
				}
				return nil
			}
			second, err := m.UploadFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			<-reading
			if name == "finished" {
				mustWait(t, second)
			}
			for range 2 {
				if err := first.Abort(t.Context()); !errors.Is(err, c.want) || s.count() != 1 {
					t.Errorf("got %v, %d uploads", err, s.count())
				}
			}
			if err := second.Abort(t.Context()); err != nil && name == "under way" {
				t.Error(err)
			}
		})
	}
}

// What is finished stays, also where the journal doesn't know that it is.
func TestAbortBeforeFinishedIsFound(t *testing.T) {
	s := newMemStore(false)
	opts := resumeOptions(t, s)
	p := content(100_000)
	path := writeFile(t, p)
	s.before = func(_ context.Context, call string) error {
		if call == "Finish" {
			return errBroken
		}
		return nil
	}
	u, err := manager(t, s, opts).UploadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wait(t, u); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	s.before = func(context.Context, string) error { return nil }
	dest, _, err := s.Open(t.Context(), u.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dest.Finish(t.Context(), store.Sum{}); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	s.before = func(ctx context.Context, call string) error {
		if call == "Open" && asked != nil {
			close(asked)
			asked = nil
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	}
	opening := asked
	if u, err = manager(t, s, opts).UploadFile(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	<-opening
	if err := u.Abort(t.Context()); err != nil {
		t.Error(err)
	}
	mustEqual(t, object(t, s, "data.bin"), p)
}

// What a later upload can go on with stays, and nothing else.
func TestCloseWhileUploading(t *testing.T) {
	for name, journal := range map[string]struct{ kept, writable bool }{
		"journal":                       {true, true},
		"no journal":                    {false, true},
		"journal that can't be written": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, s *memStore, stream bool) {
				opts := streamflow.Options{ChunkBytes: 4096, Destination: "mem"}
				if journal.kept {
					opts.StateDir = filepath.Join(t.TempDir(), "state")
				}
				m := manager(t, s, opts)
				if !journal.writable {
					if err := os.RemoveAll(opts.StateDir); err != nil {
						t.Skipf("a directory in use can't be removed here: %v", err)
					}
				}
				u := closeWhileUploading(t, m, s, stream)
				kept := journal.kept && journal.writable && !stream
				if (s.count() == 1) != kept || u.State().Discarded == kept {
					t.Errorf("%d uploads at the destination, %+v", s.count(), u.State())
				}
			})
		})
	}
}

func closeWhileUploading(t *testing.T, m *streamflow.Manager, s *memStore, stream bool) *streamflow.Upload {
	t.Helper()
	s.before = func(ctx context.Context, call string) error {
		if call == "Read" {
			<-ctx.Done()
			return context.Cause(ctx)
		}
		return nil
	}
	u := begin(t, m, content(100_000), stream)
	for u.State().Bytes == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := wait(t, u); !errors.Is(err, streamflow.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if _, err := m.Upload(t.Context(), streamflow.Stream("x", bytes.NewReader(nil))); !errors.Is(err, streamflow.ErrClosed) {
		t.Errorf("after close: got %v", err)
	}
	return u
}

// countingContext counts those who wait for its end.
type countingContext struct {
	context.Context
	done    chan struct{}
	waiting int
}

func (c *countingContext) Done() <-chan struct{} { return c.done }

// AfterFunc is how package context waits for a context that isn't its own.
func (c *countingContext) AfterFunc(func()) (stop func() bool) {
	c.waiting++
	return func() bool {
		c.waiting--
		return true
	}
}

// An upload that doesn't begin leaves nothing behind with its context.
func TestNoUploadKeepsNothing(t *testing.T) {
	s := newMemStore(false)
	s.before = func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	m := manager(t, s, streamflow.Options{StateDir: t.TempDir(), Destination: "mem"})
	path := writeFile(t, content(10))
	if _, err := m.UploadFile(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	ctx := &countingContext{Context: t.Context(), done: make(chan struct{})}
	if _, err := m.UploadFile(ctx, path); !errors.Is(err, streamflow.ErrBusy) {
		t.Fatalf("got %v", err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.UploadFile(ctx, path); !errors.Is(err, streamflow.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	if ctx.waiting != 0 {
		t.Errorf("%d uploads still wait for the context", ctx.waiting)
	}
}
