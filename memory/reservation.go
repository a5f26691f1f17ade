package memory

import (
	"context"
	"fmt"
	"runtime"
	"slices"
)

// A Reservation is room for one unit of work, taken in one step: buffers that
// are acquired from it never wait, and go back to it when they are released,
// until the reservation itself is released.
type Reservation struct{ r *reservation }

// A reservation is guarded by the mutex of the tree.
type reservation struct {
	m      *Manager
	record           // size is what was asked for
	left   int64     // bytes that no buffer uses
	unused []*handle // buffers that came back, still committed: not in left
	closed bool
}

// Reserve takes room for all the sizes together, each rounded up as a buffer
// of its own would be, and waits until there is.
//
// Errors: as Acquire.
func (m *Manager) Reserve(ctx context.Context, kind Kind, sizes ...int64) (*Reservation, error) {
	var bytes, requested int64
	for _, n := range sizes {
		if n < 0 {
			return nil, m.wrap("reserve memory", fmt.Errorf("%w size %d", ErrInvalid, n))
		}
		bytes += Cost(n)
		requested += n
	}
	t := m.tree
	if _, err := t.admit(ctx, request{m: m, bytes: bytes, requested: requested, class: noClass}); err != nil {
		return nil, err
	}
	r := &reservation{m: m, left: bytes, record: record{kind: kind, size: bytes, created: t.clock.now()}}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wantsStack(kind) {
		r.stack = callers(nil)
	}
	r.m = t.heir(m)
	if r.m.reserved == nil {
		r.m.reserved = make(map[*reservation]struct{})
	}
	r.m.reserved[r] = struct{}{}
	public := &Reservation{r}
	runtime.AddCleanup(public, t.loseReservation, r)
	return public, nil
}

// Acquire returns a buffer out of the reservation. It never waits.
//
// Errors: ErrFull where less than Cost(n) is left, ErrReleased, ErrInvalid.
func (r *Reservation) Acquire(kind Kind, n int) (Buffer, error) {
	res := r.r
	if n < 0 {
		return Buffer{}, res.m.wrap("acquire reserved buffer", fmt.Errorf("%w size %d", ErrInvalid, n))
	}
	t := res.m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if res.closed {
		return Buffer{}, res.m.wrap("acquire reserved buffer", ErrReleased)
	}
	h := t.draw(res, sizeClass(int64(n)))
	if h == nil {
		return Buffer{}, res.m.wrap("acquire reserved buffer", ErrFull)
	}
	return t.hold(res.m, h, res, kind, int64(n)), nil
}

// draw takes a slot of the class out of the reservation, or returns nil.
func (t *tree) draw(res *reservation, class int) *handle {
	for i, h := range res.unused {
		if h.slot.class == class {
			res.unused = slices.Delete(res.unused, i, i+1)
			return h
		}
	}
	need := classBytes(class)
	for res.left < need && len(res.unused) > 0 {
		h := res.unused[0]
		res.unused = slices.Delete(res.unused, 0, 1)
		t.drop(h)
		res.left += h.slot.bytes()
	}
	if res.left < need {
		return nil
	}
	res.left -= need
	if h := t.takeIdle(class); h != nil {
		return h
	}
	return t.newSlot(class)
}

// Release gives back what is left and ends the reservation. Buffers that were
// acquired from it stay valid and count at the manager until they are
// released. A second release wraps ErrReleased.
func (r *Reservation) Release() error {
	res := r.r
	t := res.m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if res.closed {
		return fmt.Errorf("memory: release reservation of %d bytes for %q: %w", res.size, res.kind, ErrReleased)
	}
	t.endReservation(res)
	runtime.KeepAlive(r)
	return nil
}

func (t *tree) endReservation(res *reservation) {
	m := t.heir(res.m)
	delete(m.reserved, res)
	res.closed = true
	m.charge(-res.left)
	res.left = 0
	for _, h := range res.unused {
		m.charge(-h.slot.bytes())
		t.putIdle(h)
	}
	res.unused = nil
	t.settle()
	t.observe(m)
}

// loseReservation is called when a Reservation has become unreachable.
func (t *tree) loseReservation(res *reservation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if res.closed {
		return
	}
	m := t.heir(res.m)
	t.endReservation(res)
	t.reportLeak(m, res.record, nil)
}
