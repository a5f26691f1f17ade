package memory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"weak"
)

// A Buffer is memory held until it is released. It is a small value: copies
// are the same buffer, and one release is for all of them. The zero Buffer
// holds nothing.
//
// Keep the Buffer for as long as its bytes are used: when the last copy of an
// unreleased Buffer is gone, it counts as lost, and its addresses are made
// inaccessible after the next collection.
type Buffer struct {
	h      *handle
	serial uint64
	n      int
}

// Bytes returns the memory: Len bytes that can't be grown by append. What is
// in it at first is unspecified. It must not be used after Release.
func (b Buffer) Bytes() []byte {
	if b.h == nil {
		return nil
	}
	return b.h.slot.mem[:b.n:b.n]
}

// Len returns the size in bytes that was asked for.
func (b Buffer) Len() int { return b.n }

// Release gives the memory back. A second release is an error that wraps
// ErrReleased and does nothing, even if the memory has a new holder by now.
func (b Buffer) Release() error {
	if b.h == nil {
		return fmt.Errorf("memory: release zero Buffer: %w", ErrUnknown)
	}
	sl := b.h.slot
	s := sl.shard.lock()
	if s == nil {
		return b.releasedTwice()
	}
	if !sl.held || sl.serial != b.serial {
		s.mu.Unlock()
		return b.releasedTwice()
	}
	sl.held = false
	s.used = true
	if sl.loan.r == nil && len(s.cached) < maxCached && !s.closed && s.m.tree.fast(sl.kind) {
		s.cached = append(s.cached, b.h)
		s.mu.Unlock()
		return nil
	}
	s.remove(sl)
	s.mu.Unlock()
	s.m.tree.takeBack(s.m, b.h)
	return nil
}

func (b Buffer) releasedTwice() error {
	return fmt.Errorf("memory: release buffer of %d bytes (hold %d of its memory): %w", b.n, b.serial, ErrReleased)
}

// Acquire returns a buffer of n bytes, and waits until there is room for it.
//
// Errors: a *LimitError at once if it can never fit, ErrClosed, the cause of
// ctx's end, ErrInvalid for a negative n.
func (m *Manager) Acquire(ctx context.Context, kind Kind, n int) (Buffer, error) {
	if m.tree.fast(kind) && ctx.Err() == nil {
		if b, ok := m.takeCached(kind, n); ok {
			return b, nil
		}
	}
	return m.acquire(kind, n, func(r request) (*handle, error) { return m.tree.admit(ctx, r) })
}

// TryAcquire is Acquire without waiting: ErrFull where there is no room now.
func (m *Manager) TryAcquire(kind Kind, n int) (Buffer, error) {
	if m.tree.fast(kind) {
		if b, ok := m.takeCached(kind, n); ok {
			return b, nil
		}
	}
	return m.acquire(kind, n, m.tree.admitNow)
}

// AcquireSpare is TryAcquire of a buffer that only makes something faster: one of most
// bytes, or else of half as many, and so on down to least. It is ErrFull, too, where m
// or a manager above it would come close to level Warning. So no work that is needed
// finds the memory short because of it.
//
// Errors: ErrFull, ErrClosed, ErrInvalid for a negative size.
func (m *Manager) AcquireSpare(kind Kind, least, most int) (Buffer, error) {
	for n := max(least, most); ; n = max(n/2, least) {
		b, err := m.acquireSpare(kind, n)
		if n == least || !errors.Is(err, ErrFull) {
			return b, err
		}
	}
}

func (m *Manager) acquireSpare(kind Kind, n int) (Buffer, error) {
	if m.tree.fast(kind) {
		if b, ok := m.takeCached(kind, n); ok {
			return b, nil
		}
	}
	return m.acquire(kind, n, m.tree.admitSpare)
}

// takeCached is the fast path: a buffer that this manager released before and
// that is still charged to it.
func (m *Manager) takeCached(kind Kind, n int) (Buffer, bool) {
	set := m.shards.Load()
	if set == nil || n < 0 {
		return Buffer{}, false
	}
	class := sizeClass(int64(n))
	s := set.near()
	h := s.take(class)
	if h == nil {
		s.mu.Unlock()
		return m.stealCached(set, class, kind, n)
	}
	b := s.hold(h, kind, int64(n), m.tree.clock.now())
	s.mu.Unlock()
	return b, true
}

// stealCached moves a buffer out of the cache of other goroutines' shards to
// the caller's, where it will find it the next time.
func (m *Manager) stealCached(set *shardSet, class int, kind Kind, n int) (Buffer, bool) {
	h := set.steal(class)
	if h == nil {
		return Buffer{}, false
	}
	s := set.near()
	if s.closed {
		s.mu.Unlock()
		m.tree.takeBack(m, h)
		return Buffer{}, false
	}
	s.add(h.slot)
	b := s.hold(h, kind, int64(n), m.tree.clock.now())
	s.mu.Unlock()
	return b, true
}

// acquire is the slow path: charge by admit, then find memory.
func (m *Manager) acquire(kind Kind, n int, admit func(request) (*handle, error)) (Buffer, error) {
	if n < 0 {
		return Buffer{}, m.wrap("acquire buffer", fmt.Errorf("%w size %d", ErrInvalid, n))
	}
	class := sizeClass(int64(n))
	h, err := admit(request{m: m, bytes: classBytes(class), requested: int64(n), class: class})
	if err != nil {
		return Buffer{}, err
	}
	t := m.tree
	if h == nil {
		h = t.newSlot(class)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	m.counts.misses++
	return t.hold(m, h, loan{}, kind, int64(n)), nil
}

// hold hands out the slot of h, which nobody holds and which is charged to m.
// t.mu is locked.
func (t *tree) hold(m *Manager, h *handle, l loan, kind Kind, n int64) Buffer {
	s := t.heir(m).shardSet().near()
	defer s.mu.Unlock()
	s.add(h.slot)
	h.slot.loan = l
	b := s.hold(h, kind, n, t.clock.now())
	if t.wantsStack(kind) && len(h.slot.stack) == 0 {
		h.slot.stack = callers(h.slot.stack)
	}
	if t.verbose {
		t.log(slog.LevelDebug, "memory acquired", slog.String("manager", m.name), slog.String("kind", string(kind)), slog.Int64("bytes", n))
	}
	return b
}

// takeBack gives the bytes of a released slot back to the tree. The slot is in
// no shard any more.
func (t *tree) takeBack(m *Manager, h *handle) {
	sl := h.slot
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.verbose {
		t.log(slog.LevelDebug, "memory released", slog.String("manager", m.name), slog.String("kind", string(sl.kind)), slog.Int64("bytes", sl.size))
	}
	m = t.heir(m)
	switch {
	case t.detours.Load()&detourGuard != 0:
		t.arena.retire(sl.mem)
		t.giveBack(m, sl)
	case sl.loan.open():
		sl.loan.r.unused = append(sl.loan.r.unused, h)
	default:
		m.charge(-sl.bytes())
		t.putIdle(h)
	}
	t.settle()
	t.observe(m)
}

// giveBack returns only the bytes of a slot whose memory is gone.
func (t *tree) giveBack(m *Manager, sl *slot) {
	if sl.loan.open() {
		sl.loan.r.left += sl.bytes()
		return
	}
	m.charge(-sl.bytes())
}

// heir is m or, once it is closed, the manager that took over what it held.
func (t *tree) heir(m *Manager) *Manager {
	for m.closed && m.parent != nil {
		m = m.parent
	}
	return m
}

// newSlot makes a slot from address space. Its memory is committed page by
// page as it is touched, after it was charged.
func (t *tree) newSlot(class int) *handle {
	sl := &slot{mem: t.arena.get(class), class: class}
	h := &handle{slot: sl}
	runtime.AddCleanup(h, t.lose, sl)
	sl.self = weak.Make(h)
	return h
}

func (sl *slot) bytes() int64 { return classBytes(sl.class) }
