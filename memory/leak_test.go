package memory_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// collectUntil runs collections until ok: the runtime calls cleanups some time
// after the collection that found them.
func collectUntil(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within 10 s of collections", what)
		}
		runtime.GC()
	}
}

//go:noinline
func loseBuffer(tb testing.TB, m *memory.Manager, kind memory.Kind) {
	if _, err := m.Acquire(tb.Context(), kind, 64*kib); err != nil {
		tb.Fatal(err)
	}
}

//go:noinline
func loseObject(tb testing.TB, m *memory.Manager, metadata map[string]any) memory.ID {
	id, err := memory.Track(m, new([4096]byte), "object", 4096, &memory.TrackOptions{Metadata: metadata})
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

//go:noinline
func loseReservation(tb testing.TB, m *memory.Manager) {
	if _, err := m.Reserve(tb.Context(), "reservation", 64*kib); err != nil {
		tb.Fatal(err)
	}
}

// What is lost may have been used before, and released.
func TestLostAfterUse(t *testing.T) {
	for name, c := range map[string]struct{ use, lose func(*memory.Manager) }{
		"buffer": {
			func(m *memory.Manager) { release(t, acquire(t, m, 64*kib)) },
			func(m *memory.Manager) { loseBuffer(t, m, memory.KindChunk) },
		},
		"reservation": {
			func(m *memory.Manager) {
				r, err := m.Reserve(t.Context(), "reservation", 64*kib)
				if err != nil {
					t.Fatal(err)
				}
				release(t, r)
			},
			func(m *memory.Manager) { loseReservation(t, m) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := newManager(t, &memory.Options{Limit: 64 * kib})
			c.use(root)
			c.lose(root)
			collectUntil(t, "leak is found", func() bool { return root.Stats().Leaks == 1 })
			if s := root.Stats(); s.Allocated != 0 || s.Used != 0 {
				t.Errorf("after the leak was found: %+v", s)
			}
		})
	}
}

func TestLostResourcesComeBack(t *testing.T) {
	for _, test := range []struct {
		name string
		kind memory.Kind
		size int64
		lose func(*memory.Manager)
	}{
		{"buffer", memory.KindChunk, 64 * kib, func(m *memory.Manager) { loseBuffer(t, m, memory.KindChunk) }},
		{"object", "object", 4096, func(m *memory.Manager) { loseObject(t, m, map[string]any{"file": "a.iso"}) }},
		{"reservation", "reservation", 64 * kib, func(m *memory.Manager) { loseReservation(t, m) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var log bytes.Buffer
			root := newManager(t, &memory.Options{
				Limit: 64 * kib, Tracking: memory.Tracking{Metadata: true},
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			child := newChild(t, root, "upload", nil)
			sub := root.Subscribe()
			defer sub.Close()
			test.lose(child)
			collectUntil(t, "leak is found", func() bool { return root.Stats().Leaks == 1 })
			if s := root.Stats(); s.Allocated != 0 || s.Used != 0 || s.LeakedBytes != test.size {
				t.Errorf("after the leak was found: %+v", s)
			}

			var leak memory.Leak
			for e := range sub.Events(t.Context()) {
				if l, ok := e.(memory.Leak); ok {
					leak = l
					break
				}
			}
			if leak.Kind != test.kind || leak.Size != test.size || leak.Manager != "upload" || leak.Count != 1 {
				t.Errorf("reported as %+v", leak)
			}
			if test.name == "object" && leak.Metadata["file"] != "a.iso" {
				t.Errorf("metadata %v", leak.Metadata)
			}

			// A kind that has leaked once is recorded at every allocation.
			test.lose(child)
			collectUntil(t, "second leak is found", func() bool { return root.Stats().Leaks == 2 })
			for e := range sub.Events(t.Context()) {
				if l, ok := e.(memory.Leak); ok && l.Count == 2 {
					leak = l
					break
				}
			}
			if !strings.Contains(leak.Stack, "leak_test.go") {
				t.Errorf("stack of the second leak doesn't lead here:\n%s", leak.Stack)
			}
			if err := root.Close(); err != nil {
				t.Error(err)
			}
			if !strings.Contains(log.String(), "memory resource lost") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestLostBufferWakesWaiter(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 64 * kib})
	loseBuffer(t, m, memory.KindChunk)
	served := make(chan error, 1)
	go func() {
		b, err := m.Acquire(t.Context(), memory.KindChunk, 64*kib)
		served <- errors.Join(err, b.Release())
	}()
	collectUntil(t, "waiter is served", func() bool { return len(served) == 1 })
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// A request that waits for what nobody holds any more doesn't wait for the
// runtime's next collection, which may be minutes away.
func TestStalledRequestLooksForTheLost(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 64 * kib})
	loseBuffer(t, m, memory.KindChunk)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b, err := m.Acquire(ctx, memory.KindChunk, 64*kib)
	if err != nil {
		t.Fatal(err)
	}
	release(t, b)
}

func TestRelease(t *testing.T) {
	m := newManager(t, nil)
	object := new([1000]byte)
	id, err := memory.Track(m, object, "image", 1000, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Stats(); s.Allocated != 1000 || s.Kinds["image"].Bytes != 1000 {
		t.Errorf("tracked: %+v", s)
	}
	if err := m.Release(id); err != nil {
		t.Error(err)
	}
	if err := m.Release(id); !errors.Is(err, memory.ErrReleased) || !strings.Contains(err.Error(), `"image", 1000 bytes`) {
		t.Errorf("second release: %v, want one that names the resource", err)
	}
	if err := m.Release(id + 1); !errors.Is(err, memory.ErrUnknown) {
		t.Errorf("unknown id: %v", err)
	}
	if _, err := memory.Track(m, object, "image", 1<<40, nil); !errors.Is(err, memory.ErrLimit) {
		t.Errorf("object that can't fit: %v", err)
	}
	if _, err := memory.Track[int](m, nil, "image", 1, nil); !errors.Is(err, memory.ErrInvalid) {
		t.Errorf("nil object: %v", err)
	}
	runtime.KeepAlive(object)
}

func TestResources(t *testing.T) {
	m := newManager(t, &memory.Options{Tracking: memory.Tracking{Detailed: true, Metadata: true}})
	b := acquire(t, m, 1000)
	object := new(int)
	id, err := memory.Track(m, object, "image", 10, &memory.TrackOptions{Metadata: map[string]any{"type": "png"}})
	if err != nil {
		t.Fatal(err)
	}
	list := m.Resources()
	if len(list) != 2 {
		t.Fatalf("%d resources, want 2", len(list))
	}
	for _, r := range list {
		if !strings.Contains(r.Stack, "leak_test.go") && !strings.Contains(r.Stack, "manager_test.go") {
			t.Errorf("%s: stack %q", r.Kind, r.Stack)
		}
		if age := time.Since(r.CreatedAt); age < 0 || age > time.Minute {
			t.Errorf("%s: age %v", r.Kind, age)
		}
		if r.Kind == "image" && (r.ID != id || r.Size != 10 || r.Metadata["type"] != "png") {
			t.Errorf("%+v", r)
		}
	}
	release(t, b)
	if err := m.Release(id); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive(object)
}

func TestDebug(t *testing.T) {
	var log bytes.Buffer
	m := newManager(t, &memory.Options{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	m.Debug(memory.DebugOptions{Tracking: true, Verbose: true})
	release(t, acquire(t, m, 1000))
	m.Debug(memory.DebugOptions{})
	release(t, acquire(t, m, 1000))
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "memory acquired"); got != 1 {
		t.Errorf("%d acquisitions logged, want that of the debugged one:\n%s", got, log.String())
	}
}

func TestCleanup(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 1024 * kib, DisableAutoCleanup: true})
	release(t, acquire(t, m, 256*kib))
	if s := m.Stats(); s.Cached != 256*kib {
		t.Errorf("cached %d, want the released buffer", s.Cached)
	}
	var order []string
	remove := m.OnCleanup(1, func(context.Context) int64 { order = append(order, "low"); return 10 })
	m.OnCleanup(2, func(context.Context) int64 { order = append(order, "high"); return 20 })
	m.OnBeforeGC(func() { order = append(order, "before GC") })
	loseObject(t, m, nil)

	freed, err := m.Cleanup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if freed.Cached != 256*kib || freed.Hooks != 30 || freed.Unreachable != 4096 {
		t.Errorf("freed %+v", freed)
	}
	if got := strings.Join(order, ", "); got != "high, low, before GC" {
		t.Errorf("order of the hooks: %s", got)
	}
	if s := m.Stats(); s.Used != 0 {
		t.Errorf("after the cleanup: %+v", s)
	}
	remove()
	order = nil
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Cleanup(canceled); !errors.Is(err, context.Canceled) || len(order) != 0 {
		t.Errorf("canceled cleanup: %v, hooks %v", err, order)
	}
}

// What has lived for too long is released at the next interval, and so is what
// nobody has needed since the last one.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, &memory.Options{CleanupInterval: 30 * time.Second})
		object, expired := new([100]byte), new(atomic.Bool)
		id, err := memory.Track(m, object, "short-lived", 100, &memory.TrackOptions{
			ExpireAfter: time.Minute, OnExpire: func() { expired.Store(true) },
		})
		if err != nil {
			t.Fatal(err)
		}
		release(t, acquire(t, m, 256*kib))
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if s := m.Stats(); s.Allocated != 100 || expired.Load() {
			t.Errorf("before its time was over: %+v, hook called: %v", s, expired.Load())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := m.Stats(); s.Used != 0 || !expired.Load() {
			t.Errorf("afterwards: %+v, hook called: %v", s, expired.Load())
		}
		if err := m.Release(id); !errors.Is(err, memory.ErrReleased) {
			t.Errorf("release of what had expired: %v", err)
		}
		runtime.KeepAlive(object)
	})
}

// The chain runs by itself when a level is entered.
func TestAutomaticCleanup(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 1024 * kib})
	called := make(chan struct{}, 10)
	m.OnCleanup(0, func(context.Context) int64 { called <- struct{}{}; return 0 })
	b := acquire(t, m, 800*kib)
	<-called
	release(t, b)
}

func TestGCCallback(t *testing.T) {
	calls := make(chan memory.GCInfo, 100)
	m := newManager(t, &memory.Options{GCCallback: func(info memory.GCInfo) { calls <- info }})
	runtime.GC()
	if info := <-calls; info.Count == 0 || info.Last.IsZero() {
		t.Errorf("%+v", info)
	}
	if s := m.Stats(); s.LastGC.IsZero() {
		t.Error("stats don't know of the collection")
	}
}
