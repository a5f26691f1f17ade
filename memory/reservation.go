package memory

import (
	"context"
	"fmt"
	"runtime"
	"slices"
)

// A Reservation is room for one unit of work, taken in one step: buffers that
// are acquired from it never wait, and go back to it when they are released,
// until the reservation itself is released. Like a Buffer it is a small value;
// the zero Reservation holds nothing.
type Reservation struct {
	h      *reservationHandle
	serial uint64
}

// A reservation is guarded by the mutex of the tree. Once it is over it is used
// again for another, so that its cleanup is registered once.
type reservation struct {
	tree *tree // doesn't change

	m      *Manager
	serial uint64    // counts the uses
	record           // size is what counts against the limit
	left   int64     // bytes that no buffer uses
	unused []*handle // buffers that came back, still committed: not in left
	closed bool
}

// A reservationHandle is to a reservation what a handle is to a slot.
type reservationHandle struct{ r *reservation }

// maxSpare is how many reservations are kept for the next use.
const maxSpare = 64

// A loan is a slot's bytes, when they belong to a reservation.
type loan struct {
	r      *reservation
	serial uint64
}

// open reports whether there is a reservation for the bytes to go back to.
func (l loan) open() bool { return l.r != nil && !l.r.closed && l.r.serial == l.serial }

// Reserve takes room for all the sizes together, each rounded up as a buffer
// of its own would be, and waits until there is.
//
// Errors: as Acquire.
func (m *Manager) Reserve(ctx context.Context, kind Kind, sizes ...int64) (Reservation, error) {
	return m.reserve(kind, sizes, func(r request) (*handle, error) { return m.tree.admit(ctx, r) })
}

// TryReserve is Reserve without waiting: ErrFull where there is no room now.
func (m *Manager) TryReserve(kind Kind, sizes ...int64) (Reservation, error) {
	return m.reserve(kind, sizes, m.tree.admitNow)
}

func (m *Manager) reserve(kind Kind, sizes []int64, admit func(request) (*handle, error)) (Reservation, error) {
	var bytes, requested int64
	for _, n := range sizes {
		if n < 0 {
			return Reservation{}, m.wrap("reserve memory", fmt.Errorf("%w size %d", ErrInvalid, n))
		}
		bytes, requested = plus(bytes, Cost(n)), plus(requested, n)
	}
	t := m.tree
	if _, err := admit(request{m: m, bytes: bytes, requested: requested, class: noClass}); err != nil {
		return Reservation{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.spareReservation()
	r := h.r
	r.m, r.left, r.closed = t.heir(m), bytes, false
	r.serial++
	r.record = record{kind: kind, size: bytes, created: t.clock.now()}
	if t.wantsStack(kind) {
		r.stack = callers(nil)
	}
	if r.m.reserved == nil {
		r.m.reserved = make(map[*reservation]struct{})
	}
	r.m.reserved[r] = struct{}{}
	return Reservation{h, r.serial}, nil
}

// spareReservation returns one that is over, or a new one.
func (t *tree) spareReservation() *reservationHandle {
	if last := len(t.spare) - 1; last >= 0 {
		h := t.spare[last]
		t.spare[last] = nil // or it would never be found lost
		t.spare = t.spare[:last]
		return h
	}
	h := &reservationHandle{&reservation{tree: t, closed: true}}
	runtime.AddCleanup(h, t.loseReservation, h.r)
	return h
}

// Acquire returns a buffer out of the reservation. It never waits.
//
// Errors: ErrFull where less than Cost(n) is left, ErrReleased, ErrInvalid.
func (r Reservation) Acquire(kind Kind, n int) (Buffer, error) {
	if r.h == nil {
		return Buffer{}, fmt.Errorf("memory: acquire from zero Reservation: %w", ErrUnknown)
	}
	if n < 0 {
		return Buffer{}, fmt.Errorf("memory: acquire reserved buffer: %w size %d", ErrInvalid, n)
	}
	res := r.h.r
	t := res.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	l := loan{res, r.serial}
	if !l.open() {
		return Buffer{}, fmt.Errorf("memory: acquire reserved buffer: %w", ErrReleased)
	}
	h := t.draw(res, sizeClass(int64(n)))
	if h == nil {
		return Buffer{}, res.m.wrap("acquire reserved buffer", ErrFull)
	}
	return t.hold(res.m, h, l, kind, int64(n)), nil
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
func (r Reservation) Release() error {
	if r.h == nil {
		return fmt.Errorf("memory: release zero Reservation: %w", ErrUnknown)
	}
	res := r.h.r
	t := res.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if !(loan{res, r.serial}).open() {
		return fmt.Errorf("memory: release reservation (use %d of its record): %w", r.serial, ErrReleased)
	}
	t.endReservation(res)
	if len(t.spare) < maxSpare {
		t.spare = append(t.spare, r.h)
	}
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
