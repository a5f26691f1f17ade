package memory_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/memory"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const kib = 1 << 10

func acquire(tb testing.TB, m *memory.Manager, n int) memory.Buffer {
	tb.Helper()
	b, err := m.Acquire(tb.Context(), memory.KindChunk, n)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func release(tb testing.TB, r interface{ Release() error }) {
	tb.Helper()
	if err := r.Release(); err != nil {
		tb.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name string
		opts memory.Options
		want string
	}{
		{"negative limit", memory.Options{Limit: -1}, "Limit -1"},
		{"tiny limit", memory.Options{Limit: 100}, "Limit 100"},
		{"warning above critical", memory.Options{Thresholds: memory.Thresholds{Warning: 0.9, Critical: 0.8}}, "Thresholds"},
		{"critical above one", memory.Options{Thresholds: memory.Thresholds{Critical: 1.1}}, "Thresholds"},
		{"negative interval", memory.Options{CleanupInterval: -1}, "CleanupInterval"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := memory.New(&test.opts)
			if !errors.Is(err, memory.ErrInvalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New: %v, want ErrInvalid that names %q", err, test.want)
			}
		})
	}
	if got := newManager(t, nil).Limit(); got != memory.DefaultLimit {
		t.Errorf("default limit %d", got)
	}
}

func TestBuffer(t *testing.T) {
	m := newManager(t, nil)
	b := acquire(t, m, 1000)
	if len(b.Bytes()) != 1000 || cap(b.Bytes()) != 1000 {
		t.Errorf("len %d, cap %d: want 1000 of each, so that append can't reach a neighbour", len(b.Bytes()), cap(b.Bytes()))
	}
	copy(b.Bytes(), "written")
	s := m.Stats()
	if s.Active != 1 || s.Allocated != memory.Cost(1000) || s.Kinds[memory.KindChunk].Active != 1 {
		t.Errorf("stats %+v", s)
	}
	release(t, b)
	second := acquire(t, m, 1000) // most likely the same memory
	if err := b.Release(); !errors.Is(err, memory.ErrReleased) || !strings.Contains(err.Error(), "1000") {
		t.Errorf("second release: %v, want ErrReleased that names the buffer", err)
	}
	if err := (memory.Buffer{}).Release(); !errors.Is(err, memory.ErrUnknown) {
		t.Errorf("release of nothing: %v, want ErrUnknown", err)
	}
	release(t, second)
	if s := m.Stats(); s.Active != 0 || s.Allocated != 0 || s.Peak < memory.Cost(1000) {
		t.Errorf("stats after release %+v", s)
	}
	if _, err := m.Acquire(t.Context(), memory.KindChunk, -1); !errors.Is(err, memory.ErrInvalid) {
		t.Errorf("negative size: %v", err)
	}
}

func TestNeverFits(t *testing.T) {
	root := newManager(t, &memory.Options{Name: "all", Limit: 1024 * kib})
	newChild(t, root, "guaranteed", &memory.ChildOptions{Guarantee: 256 * kib})
	small := newChild(t, root, "small", &memory.ChildOptions{Limit: 512 * kib})
	for _, test := range []struct {
		name    string
		m       *memory.Manager
		n       int
		manager string
		needed  int64
	}{
		{"child's limit", small, 600 * kib, "small", memory.Cost(600 * kib)},
		{"root's limit", small, 2048 * kib, "all", 2048*kib + 256*kib},
		{"root's limit less guarantees", root, 800 * kib, "all", memory.Cost(800*kib) + 256*kib},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.m.Acquire(t.Context(), memory.KindChunk, test.n)
			var limit *memory.LimitError
			if !errors.As(err, &limit) || !errors.Is(err, memory.ErrLimit) {
				t.Fatalf("got %v, want a LimitError", err)
			}
			if limit.Manager != test.manager || limit.Needed != test.needed || limit.Requested != int64(test.n) {
				t.Errorf("got %+v, want manager %q, needed %d", limit, test.manager, test.needed)
			}
		})
	}
	if s := root.Stats(); s.Refusals != 3 {
		t.Errorf("%d refusals, want 3", s.Refusals)
	}
}

func TestNeededWouldDo(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 64 * kib})
	newChild(t, m, "guaranteed", &memory.ChildOptions{Guarantee: 16 * kib})
	_, err := m.Acquire(t.Context(), memory.KindChunk, 100*kib)
	var limit *memory.LimitError
	if !errors.As(err, &limit) {
		t.Fatal(err)
	}
	if err := m.SetLimit(limit.Needed - 1); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Acquire(t.Context(), memory.KindChunk, 100*kib); !errors.Is(err, memory.ErrLimit) {
		t.Errorf("one byte less than needed: %v, want ErrLimit", err)
	}
	if err := m.SetLimit(limit.Needed); err != nil {
		t.Fatal(err)
	}
	release(t, acquire(t, m, 100*kib))
}

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		root := newManager(t, &memory.Options{Limit: 64 * kib})
		child := newChild(t, root, "child", nil)
		held := acquire(t, root, 64*kib)

		errs := make(chan error, 1)
		wait := func(ctx context.Context) {
			go func() {
				_, err := child.Acquire(ctx, memory.KindChunk, 32*kib)
				errs <- err
			}()
			synctest.Wait()
			if s := root.Stats(); s.Waiters != 1 {
				t.Errorf("%d waiters, want 1", s.Waiters)
			}
		}

		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("too slow"))
		defer cancel()
		wait(ctx)
		if err := <-errs; err == nil || !strings.Contains(err.Error(), "too slow") {
			t.Errorf("after its context: %v, want the cause", err)
		}

		wait(t.Context())
		if err := child.Close(); err != nil {
			t.Error(err)
		}
		if err := <-errs; !errors.Is(err, memory.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}

		child = newChild(t, root, "child", nil)
		wait(t.Context())
		if err := root.SetLimit(16 * kib); err != nil {
			t.Error(err)
		}
		if err := <-errs; !errors.Is(err, memory.ErrLimit) {
			t.Errorf("after the limit was lowered: %v, want ErrLimit", err)
		}
		release(t, held)
	})
}

func TestCloseOfChild(t *testing.T) {
	root := newManager(t, &memory.Options{Limit: 1024 * kib})
	child := newChild(t, root, "child", &memory.ChildOptions{Guarantee: 512 * kib})
	held, cached := acquire(t, child, 64*kib), acquire(t, child, 32*kib)
	release(t, cached)
	object := new([1000]byte)
	id, err := memory.Track(child, object, "object", 1000, nil)
	if err != nil {
		t.Fatal(err)
	}

	var left *memory.HeldError
	if err := child.Close(); !errors.As(err, &left) {
		t.Fatalf("Close: %v, want a HeldError", err)
	}
	if left.Kinds[memory.KindChunk].Bytes != 64*kib || left.Kinds["object"].Bytes != 1000 {
		t.Errorf("still held: %v", left)
	}
	if err := child.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if s := root.Stats(); s.Allocated != 64*kib+1000 || s.Used-s.Cached != s.Allocated {
		t.Errorf("after Close the root should count what is still held, and nothing else: %+v", s)
	}
	if _, err := child.Acquire(t.Context(), memory.KindChunk, 1); !errors.Is(err, memory.ErrClosed) {
		t.Errorf("Acquire after Close: %v", err)
	}
	copy(held.Bytes(), "still usable")
	release(t, held)
	if err := child.Release(id); err != nil {
		t.Error(err)
	}
	if s := root.Stats(); s.Allocated != 0 {
		t.Errorf("after the releases: %+v", s)
	}
}

func TestGuarantee(t *testing.T) {
	root := newManager(t, &memory.Options{Limit: 256 * kib})
	a := newChild(t, root, "a", &memory.ChildOptions{Guarantee: 128 * kib})
	b := newChild(t, root, "b", nil)
	taken := acquire(t, b, 128*kib)
	if _, err := b.TryAcquire(memory.KindChunk, 4*kib); !errors.Is(err, memory.ErrFull) {
		t.Errorf("b reached into a's guarantee: %v", err)
	}
	release(t, acquire(t, a, 128*kib))
	if _, err := root.Child("c", &memory.ChildOptions{Guarantee: 64 * kib}); !errors.Is(err, memory.ErrFull) {
		t.Errorf("guarantee without room: %v, want ErrFull", err)
	}
	if _, err := root.Child("c", &memory.ChildOptions{Guarantee: 256 * kib}); !errors.Is(err, memory.ErrLimit) {
		t.Errorf("guarantee that can never fit: %v, want ErrLimit", err)
	}
	release(t, taken)
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	release(t, acquire(t, b, 256*kib))
}

func TestReservation(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 256 * kib})
	r, err := m.Reserve(t.Context(), memory.KindChunk, 64*kib, 32*kib)
	if err != nil {
		t.Fatal(err)
	}
	first, err := r.Acquire(memory.KindChunk, 64*kib)
	if err != nil {
		t.Fatal(err)
	}
	second, err := r.Acquire("compressor", 32*kib)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Acquire(memory.KindChunk, 1); !errors.Is(err, memory.ErrFull) {
		t.Errorf("more than reserved: %v, want ErrFull", err)
	}
	release(t, first)
	again, err := r.Acquire(memory.KindChunk, 10*kib) // another size, out of what came back
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Stats(); s.Allocated != 96*kib {
		t.Errorf("allocated %d, want the reservation's 96 KiB", s.Allocated)
	}
	release(t, r)
	if err := r.Release(); !errors.Is(err, memory.ErrReleased) {
		t.Errorf("second release: %v", err)
	}
	if s := m.Stats(); s.Allocated != 42*kib {
		t.Errorf("allocated %d, want the two buffers' 42 KiB", s.Allocated)
	}
	release(t, second)
	release(t, again)
	if s := m.Stats(); s.Allocated != 0 {
		t.Errorf("allocated %d at the end", s.Allocated)
	}
}

func TestTryReserve(t *testing.T) {
	m := newManager(t, &memory.Options{Limit: 256 * kib})
	r, err := m.TryReserve(memory.KindCompressor, 128*kib, 64*kib)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.TryReserve(memory.KindCompressor, 128*kib); !errors.Is(err, memory.ErrFull) {
		t.Errorf("without room: %v, want ErrFull", err)
	}
	if _, err := m.TryReserve(memory.KindCompressor, 512*kib); !errors.Is(err, memory.ErrLimit) {
		t.Errorf("more than there ever is: %v, want ErrLimit", err)
	}
	if s := m.Stats(); s.Allocated != 192*kib {
		t.Errorf("allocated %d, want 192 KiB", s.Allocated)
	}
	release(t, r)
}

func TestCost(t *testing.T) {
	for n := int64(0); n < 300*kib; n++ {
		cost := memory.Cost(n)
		if cost < n || cost < 4096 || (n > 4096 && cost > n+n/4+1) || memory.Cost(cost) != cost {
			t.Fatalf("Cost(%d) = %d", n, cost)
		}
	}
	for _, n := range []int64{1 << 20, 5 << 20, 16 << 20, 1 << 40} {
		if memory.Cost(n) != n {
			t.Errorf("Cost(%d) = %d: usual sizes should cost no more", n, memory.Cost(n))
		}
	}
}

// A large buffer that was released is found, whoever looks at the cache it is in.
func TestReleasedBufferIsFound(t *testing.T) {
	const holders, size = 3, mib
	m := newManager(t, nil)
	done, stop := context.WithCancel(t.Context())
	var looking, holding sync.WaitGroup
	looking.Go(func() {
		for done.Err() == nil {
			m.Stats()
		}
	})
	places := make(chan struct{}, holders)
	for range 20_000 {
		places <- struct{}{}
		b := acquire(t, m, size)
		holding.Go(func() {
			release(t, b)
			<-places
		})
	}
	holding.Wait()
	stop()
	looking.Wait()
	if peak := m.Stats().Peak; peak > holders*size {
		t.Errorf("%d buffers of %d bytes took %d", holders, size, peak)
	}
}
