package memory_test

import (
	"context"
	"errors"
	"flag"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/memory"
)

var seed = flag.Uint64("seed", 0, "seed of the random tests; 0 takes a new one")

func newRandom(tb testing.TB) *rand.Rand {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	tb.Logf("run again with -seed=%d", s)
	return rand.New(rand.NewPCG(s, s))
}

// A model of a tree: who holds what. Steps are chosen by numbers, so that both
// a random source and a fuzzer can drive it. It runs in a synctest bubble, in
// which a request that waits can be told from one that is being served.
type model struct {
	tb       testing.TB
	root     *memory.Manager
	managers []*memory.Manager // the root first
	parents  map[*memory.Manager]*memory.Manager
	held     []holding
	waiting  []*wait // in the order they began
}

type holding struct {
	m     *memory.Manager
	bytes int64
	free  func() error
}

type wait struct {
	m      *memory.Manager
	bytes  int64
	cancel context.CancelFunc
	done   chan struct{}
	buffer memory.Buffer
	err    error
}

const modelLimit = 1 << 20

func newModel(tb testing.TB) *model {
	root, err := memory.New(&memory.Options{Limit: modelLimit, CleanupInterval: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = root.Close() }) // finish has looked at its error
	md := &model{tb: tb, root: root, managers: []*memory.Manager{root}, parents: make(map[*memory.Manager]*memory.Manager)}
	for _, c := range []struct {
		parent int
		opts   memory.ChildOptions
	}{
		{0, memory.ChildOptions{}},
		{0, memory.ChildOptions{Limit: 512 << 10, Guarantee: 128 << 10}},
		{2, memory.ChildOptions{Limit: 256 << 10}},
		{2, memory.ChildOptions{Guarantee: 64 << 10}},
		{1, memory.ChildOptions{Limit: 384 << 10}},
	} {
		child := newChild(tb, md.managers[c.parent], "child", &c.opts)
		md.parents[child] = md.managers[c.parent]
		md.managers = append(md.managers, child)
	}
	return md
}

func (md *model) step(op, arg uint32) {
	m := md.managers[int(arg)%len(md.managers)]
	size := int(arg>>3) % (300 << 10)
	switch op % 9 {
	case 0, 1:
		md.acquire(m, size)
	case 2:
		md.try(m, size)
	case 3:
		md.track(m, size)
	case 4, 5:
		md.release(arg)
	case 6:
		md.reserve(m, size)
	case 7:
		if arg%4 == 0 {
			_, _ = md.root.Cleanup(md.tb.Context())
		} else {
			md.cancel(arg)
		}
	case 8:
		md.spare(m, size)
	}
	synctest.Wait()
	md.collect()
	md.check()
}

func (md *model) acquire(m *memory.Manager, size int) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &wait{m: m, bytes: memory.Cost(int64(size)), cancel: cancel, done: make(chan struct{})}
	md.waiting = append(md.waiting, w)
	go func() {
		defer close(w.done)
		w.buffer, w.err = m.Acquire(ctx, memory.KindChunk, size)
	}()
}

func (md *model) try(m *memory.Manager, size int) {
	b, err := m.TryAcquire(memory.KindTransfer, size)
	if err == nil {
		md.hold(m, memory.Cost(int64(size)), b.Release)
	}
	if len(md.waiting) == 0 && md.free(m) >= memory.Cost(int64(size)) && err != nil {
		md.tb.Fatalf("TryAcquire(%d) with %d free: %v", size, md.free(m), err)
	}
}

// spare checks that memory which can be done without brings no level near.
func (md *model) spare(m *memory.Manager, size int) {
	b, err := m.AcquireSpare(memory.KindTransfer, size/3, size)
	switch {
	case err != nil && !errors.Is(err, memory.ErrFull):
		md.tb.Fatalf("AcquireSpare(%d): %v", size, err)
	case err == nil && m.Level() != memory.Normal:
		md.tb.Fatalf("AcquireSpare(%d) led to level %v", size, m.Level())
	case err == nil:
		md.hold(m, memory.Cost(int64(len(b.Bytes()))), b.Release)
	}
}

func (md *model) track(m *memory.Manager, size int) {
	object := new([64]byte)
	id, err := memory.Track(m, object, "object", int64(size), nil)
	if err == nil {
		md.hold(m, int64(size), func() error { defer func() { _ = object }(); return m.Release(id) })
	}
}

func (md *model) reserve(m *memory.Manager, size int) {
	cost := memory.Cost(int64(size))
	if len(md.waiting) > 0 || md.free(m) < 2*cost {
		return
	}
	r, err := m.Reserve(md.tb.Context(), memory.KindChunk, int64(size), int64(size))
	if err != nil {
		md.tb.Fatalf("Reserve(2*%d) with %d free: %v", size, md.free(m), err)
	}
	b, err := r.Acquire(memory.KindChunk, size)
	if err != nil {
		md.tb.Fatal(err)
	}
	first, second := r.Release, b.Release
	if size%2 == 0 {
		first, second = second, first
	}
	md.hold(m, 2*cost, func() error { return errors.Join(first(), second()) })
}

func (md *model) release(arg uint32) {
	if len(md.held) == 0 {
		return
	}
	i := int(arg) % len(md.held)
	h := md.held[i]
	md.held = slices.Delete(md.held, i, i+1)
	if err := h.free(); err != nil {
		md.tb.Fatal(err)
	}
	if err := h.free(); !errors.Is(err, memory.ErrReleased) {
		md.tb.Fatalf("second release: %v", err)
	}
}

func (md *model) cancel(arg uint32) {
	if len(md.waiting) > 0 {
		md.waiting[int(arg)%len(md.waiting)].cancel()
	}
}

// collect looks which requests have been served: of each manager, the oldest.
func (md *model) collect() {
	blocked := make(map[*memory.Manager]bool)
	md.waiting = slices.DeleteFunc(md.waiting, func(w *wait) bool {
		select {
		case <-w.done:
		default:
			blocked[w.m] = true
			return false
		}
		w.cancel()
		if w.err == nil {
			if blocked[w.m] {
				md.tb.Fatal("a request was served before an older one of the same manager")
			}
			md.hold(w.m, w.bytes, w.buffer.Release)
		}
		return true
	})
}

func (md *model) hold(m *memory.Manager, bytes int64, free func() error) {
	md.held = append(md.held, holding{m, bytes, free})
}

// allocated is what m and the managers below it hold, by the model.
func (md *model) allocated(m *memory.Manager) (bytes int64) {
	for _, h := range md.held {
		for a := h.m; a != nil; a = md.parents[a] {
			if a == m {
				bytes += h.bytes
			}
		}
	}
	return bytes
}

// free is a lower bound of what m could still get: all guarantees are taken as
// lost to it.
func (md *model) free(m *memory.Manager) int64 {
	room := int64(modelLimit)
	for ; m != nil; m = md.parents[m] {
		room = min(room, m.Limit()-md.allocated(m)-192<<10)
	}
	return room
}

func (md *model) check() {
	if err := memory.CheckInvariants(md.root); err != nil {
		md.tb.Fatal(err)
	}
	for _, m := range md.managers {
		if s := m.Stats(); s.Allocated != md.allocated(m) || s.Peak < s.Used || s.Used < s.Allocated {
			md.tb.Fatalf("manager %q: stats %+v, but %d bytes are held", m.Name(), s, md.allocated(m))
		}
	}
}

// finish lets everything go, and checks that nothing is left.
func (md *model) finish() {
	for len(md.held) > 0 || len(md.waiting) > 0 {
		if len(md.held) > 0 {
			md.release(0)
		}
		synctest.Wait()
		md.collect()
		md.check()
	}
	if err := md.root.Close(); err != nil {
		md.tb.Fatal(err)
	}
}

func TestRandomOperations(t *testing.T) {
	random := newRandom(t)
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			md := newModel(t)
			for range 500 {
				md.step(random.Uint32(), random.Uint32())
			}
			md.finish()
		})
	}
}

func FuzzOperations(f *testing.F) {
	f.Add([]byte("\x00\xff\xff\x01\x10\x00\x04\x00\x00\x06\x80\x00"))
	f.Fuzz(func(t *testing.T, steps []byte) {
		synctest.Test(t, func(t *testing.T) {
			md := newModel(t)
			for ; len(steps) >= 3; steps = steps[3:] {
				md.step(uint32(steps[0]), uint32(steps[1])<<16|uint32(steps[2])<<8|uint32(steps[0]))
			}
			md.finish()
		})
	})
}

// TestConcurrentOperations has goroutines acquire, pass on, track, reserve and
// close against each other, and checks what is left.
func TestConcurrentOperations(t *testing.T) {
	random := newRandom(t)
	root := newManager(t, &memory.Options{Limit: modelLimit, CleanupInterval: 5 * time.Millisecond})
	passed := make(chan memory.Buffer, 16)
	var workers sync.WaitGroup
	for range 8 {
		r := rand.New(rand.NewPCG(random.Uint64(), 0))
		workers.Go(func() {
			for range 50 {
				work(t, root, r, passed)
			}
		})
	}
	workers.Wait()
	close(passed)
	for b := range passed {
		release(t, b)
	}
	if err := memory.CheckInvariants(root); err != nil {
		t.Error(err)
	}
	if s := root.Stats(); s.Allocated != 0 || s.Active != 0 || s.Waiters != 0 || s.Peak > modelLimit {
		t.Errorf("at the end: %+v", s)
	}
}

// work is the life of one upload, in a manager of its own.
func work(t *testing.T, root *memory.Manager, r *rand.Rand, passed chan memory.Buffer) {
	m := newChild(t, root, "worker", &memory.ChildOptions{Limit: 768 << 10})
	for range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(1000))*time.Microsecond)
		b, err := m.Acquire(ctx, memory.KindChunk, r.IntN(400<<10))
		cancel()
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			continue
		}
		if n := b.Len(); n > 0 {
			b.Bytes()[0], b.Bytes()[n-1] = 1, 2
		}
		select {
		case passed <- b:
		default:
			release(t, b)
		}
		select {
		case b := <-passed:
			release(t, b)
		default:
		}
		if id, err := memory.Track(m, new([32]byte), "object", int64(r.IntN(4096)), nil); err == nil {
			if err := m.Release(id); err != nil && !errors.Is(err, memory.ErrReleased) { // found unreachable first
				t.Error(err)
			}
		}
	}
	var held *memory.HeldError
	if err := m.Close(); err != nil && !errors.As(err, &held) {
		t.Error(err)
	}
}
