package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

var orders = map[string]bool{"ordered": false, "unordered": true}

var sizes = []int{0, 1, 4095, 4096, 4097, 3 * 4096, 100_000}

// begin starts the upload of p as a file or a stream called data.bin.
func begin(t testing.TB, m *streamflow.Manager, p []byte, stream bool) *streamflow.Upload {
	t.Helper()
	if stream {
		u, err := m.Upload(t.Context(), streamflow.Stream("data.bin", bytes.NewReader(p)))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	u, err := m.UploadFile(t.Context(), writeFile(t, p))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// eachWay runs f for files and streams, ordered and unordered stores.
func eachWay(t *testing.T, f func(t *testing.T, s *memStore, stream bool)) {
	for order, unordered := range orders {
		for source, stream := range map[string]bool{"file": false, "stream": true} {
			t.Run(order+"/"+source, func(t *testing.T) { f(t, newMemStore(unordered), stream) })
		}
	}
}

func TestUploadSizes(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			eachWay(t, func(t *testing.T, s *memStore, stream bool) {
				p := content(size)
				m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
				u := begin(t, m, p, stream)
				r := mustWait(t, u)
				mustEqual(t, object(t, s, "data.bin"), p)
				if r.Bytes != int64(size) || r.Sum != (store.Sum{CRC32C: crcOf(p), Known: true}) || r.ID == "" || r.Location != "mem:data.bin" {
					t.Errorf("result %+v", r)
				}
				if got := u.State(); got.Status != streamflow.Finished || got.Bytes != int64(size) || got.Total != int64(size) {
					t.Errorf("state %+v", got)
				}
			})
		})
	}
}

func TestFileToOrderedStoreIsOneWrite(t *testing.T) {
	s := newMemStore(false)
	m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
	mustWait(t, begin(t, m, content(100_000), false))
	if len(s.writes) != 1 || s.writes[0] != 100_000 {
		t.Errorf("writes %v", s.writes)
	}
}

func TestEveryFailureAtEveryCall(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		p := content(40_000)
		for n := int64(1); ; n++ {
			var calls, broke atomic.Int64
			dst := newMemStore(s.limits.Unordered)
			dst.readBytes = 3000
			dst.before = func(context.Context, string) error {
				if calls.Add(1) == n {
					broke.Add(1)
					return store.Transient(errBroken)
				}
				return nil
			}
			synctest.Test(t, func(t *testing.T) {
				m := manager(t, dst, streamflow.Options{ChunkBytes: 8192})
				r := mustWait(t, begin(t, m, p, stream))
				mustEqual(t, object(t, dst, "data.bin"), p)
				if int64(r.Retries) != broke.Load() {
					t.Errorf("call %d: %d retries", n, r.Retries)
				}
			})
			if t.Failed() || broke.Load() == 0 {
				break
			}
		}
	})
}

func TestRetriesGiveUp(t *testing.T) {
	for name, tc := range map[string]struct {
		retries  int
		min, max time.Duration
		attempts int
	}{
		"default":  {0, 45 * time.Second, 61 * time.Second, 3},
		"none":     {-1, 0, 0, 1},
		"patience": {1, 45 * time.Second, 61 * time.Second, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemStore(false)
				s.before = func(context.Context, string) error { return store.Transient(errBroken) }
				m := manager(t, s, streamflow.Options{Retries: tc.retries})
				start := time.Now()
				_, err := wait(t, begin(t, m, content(10), false))
				gave, ok := errors.AsType[*streamflow.RetryError](err)
				if !ok || !errors.Is(err, errBroken) || gave.Attempts < tc.attempts {
					t.Fatalf("got %v", err)
				}
				if took := time.Since(start); took < tc.min || took > tc.max {
					t.Errorf("gave up after %v", took)
				}
				if got := streamflow.Code(err); got != streamflow.CodeNetwork {
					t.Errorf("code %s", got)
				}
			})
		})
	}
}

func TestPermanentErrorEndsAtOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		s.before = func(_ context.Context, call string) error {
			if call == "Write" {
				return store.ErrNoSpace
			}
			return nil
		}
		m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
		u := begin(t, m, content(100_000), stream)
		if _, err := wait(t, u); !errors.Is(err, store.ErrNoSpace) {
			t.Fatalf("got %v", err)
		}
		if u.State().Status != streamflow.Failed {
			t.Errorf("state %+v", u.State())
		}
	})
}

func TestGoneInTheMiddle(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			s.readBytes = 4096
			var reads atomic.Int64
			s.before = func(_ context.Context, call string) error {
				if call == "Read" && reads.Add(1) == 5 {
					s.lose()
				}
				return nil
			}
			m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 10})
			p := content(100_000)
			r := mustWait(t, begin(t, m, p, false))
			mustEqual(t, object(t, s, "data.bin"), p)
			if r.RestartReason == "" {
				t.Error("no reason for the restart")
			}
		})
	}
}

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

func TestUnitTooLargeTouchesNothing(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			read := false
			r := readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF })
			mem := budget(t, 2<<20)
			m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 20, Memory: mem})
			u, err := m.Upload(t.Context(), streamflow.Stream("x", r))
			if err != nil {
				t.Fatal(err)
			}
			_, err = wait(t, u)
			limit, ok := errors.AsType[*memory.LimitError](err)
			if !ok || limit.Limit != 2<<20 || streamflow.Code(err) != streamflow.CodeMemory {
				t.Fatalf("got %v", err)
			}
			if read || s.created != 0 {
				t.Errorf("read %v, created %d", read, s.created)
			}
			// What it says would do, does.
			if err := mem.SetLimit(limit.Needed - 4096); err != nil {
				t.Fatal(err)
			}
			if _, err := wait(t, begin(t, m, content(10), true)); !errors.Is(err, memory.ErrLimit) {
				t.Errorf("less than needed: got %v", err)
			}
			if err := mem.SetLimit(limit.Needed); err != nil {
				t.Fatal(err)
			}
			mustWait(t, begin(t, m, content(10), true))
			// A file needs no such memory.
			mustWait(t, begin(t, m, content(10), false))
		})
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestStreamLargerThanTheBudget(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			mem := budget(t, 2<<20)
			m := manager(t, s, streamflow.Options{ChunkBytes: 256 << 10, Memory: mem})
			p := content(8 << 20)
			mustWait(t, begin(t, m, p, true))
			mustEqual(t, object(t, s, "data.bin"), p)
			if peak := mem.Stats().Peak; peak > 2<<20 {
				t.Errorf("peak %d", peak)
			}
		})
	}
}

func TestManyUploadsShareASmallBudget(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			m := manager(t, s, streamflow.Options{ChunkBytes: 512 << 10, Memory: budget(t, 2<<20)})
			p := content(4 << 20)
			var all []*streamflow.Upload
			for i := range 4 {
				u, err := m.Upload(t.Context(), streamflow.Stream(fmt.Sprint(i), bytes.NewReader(p)))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, u)
			}
			for i, u := range all {
				mustWait(t, u)
				mustEqual(t, object(t, s, fmt.Sprint(i)), p)
			}
		})
	}
}

func TestStreamReaderFails(t *testing.T) {
	for name, failure := range map[string]error{"error": errBroken, "cut off": io.ErrUnexpectedEOF} {
		t.Run(name, func(t *testing.T) {
			for _, unordered := range orders {
				s := newMemStore(unordered)
				m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
				r := io.MultiReader(bytes.NewReader(content(10_000)), iotest.ErrReader(failure))
				u, err := m.Upload(t.Context(), streamflow.Stream("x", r))
				if err != nil {
					t.Fatal(err)
				}
				_, err = wait(t, u)
				if _, ok := errors.AsType[*streamflow.SourceError](err); !ok || !errors.Is(err, failure) {
					t.Errorf("got %v", err)
				}
				if s.count() != 0 {
					t.Error("a stream that can't be resumed was left behind")
				}
			}
		})
	}
}

func TestBlockedStreamIsWoken(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	m := manager(t, newMemStore(false), streamflow.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	u, err := m.Upload(ctx, streamflow.Stream("x", r))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := wait(t, u); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSourceChanges(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"shrinks": func(path string) error { return os.Truncate(path, 30_000) },
		"grows": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more")
			return errors.Join(err, f.Close())
		},
		"touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, unordered := range orders {
				path := writeFile(t, content(100_000))
				s := newMemStore(unordered)
				s.readBytes = 1000
				var reads atomic.Int64
				s.before = func(_ context.Context, call string) error {
					if call == "Read" && reads.Add(1) == 5 {
						return change(path)
					}
					return nil
				}
				m := manager(t, s, streamflow.Options{ChunkBytes: 4096, StateDir: t.TempDir(), Destination: "mem"})
				u, err := m.UploadFile(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				_, err = wait(t, u)
				if !errors.Is(err, streamflow.ErrSourceChanged) || streamflow.Code(err) != streamflow.CodeFile {
					t.Errorf("got %v", err)
				}
				if s.count() != 0 {
					t.Error("something is left at the destination")
				}
			}
		})
	}
}

func TestOpenFileRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"missing": filepath.Join(dir, "none"), "directory": dir, "device": "/dev/null"} {
		t.Run(name, func(t *testing.T) {
			m := manager(t, newMemStore(false), streamflow.Options{})
			_, err := m.UploadFile(t.Context(), path)
			if _, ok := errors.AsType[*streamflow.SourceError](err); !ok || streamflow.Code(err) != streamflow.CodeFile {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestNewRefusesOptions(t *testing.T) {
	for name, opts := range map[string]streamflow.Options{
		"ChunkBytes":  {ChunkBytes: -1},
		"Streams":     {Streams: -1},
		"Destination": {StateDir: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := streamflow.New(newMemStore(false), &opts); err == nil || !bytes.Contains([]byte(err.Error()), []byte("Options."+name)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCloseWhileUploading(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		s.before = func(ctx context.Context, call string) error {
			if call == "Read" {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}
		m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
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
		if kept := s.count() == 1; kept == stream {
			t.Errorf("kept at the destination: %v", kept)
		}
	})
}
