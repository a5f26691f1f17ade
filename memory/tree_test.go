package memory_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// What is below a manager that is closed presses nobody any more.
func TestCloseUnderPressure(t *testing.T) {
	root := newManager(t, &memory.Options{Limit: 1 << 20})
	parent := newChild(t, root, "parent", nil)
	child := newChild(t, parent, "child", &memory.ChildOptions{Limit: 64 << 10})
	b := acquire(t, child, 64<<10)
	defer release(t, b)
	if child.Level() != memory.Critical {
		t.Fatalf("level is %v", child.Level())
	}
	if held := (*memory.HeldError)(nil); !errors.As(parent.Close(), &held) {
		t.Error("nothing was held")
	}
	if err := memory.CheckInvariants(root); err != nil {
		t.Error(err)
	}
}

// Managers come and go, with what they hold, in any order.
func TestRandomTrees(t *testing.T) {
	random := newRandom(t)
	for range 200 {
		tree := newRandomTree(t, random)
		for range 200 {
			tree.step()
			if err := memory.CheckInvariants(tree.managers[0]); err != nil {
				t.Fatal(err)
			}
		}
		tree.finish()
	}
}

type randomTree struct {
	t            *testing.T
	random       *rand.Rand
	managers     []*memory.Manager // the root first; some are closed
	held         []memory.Buffer
	reservations []memory.Reservation
}

func newRandomTree(t *testing.T, random *rand.Rand) *randomTree {
	root, err := memory.New(&memory.Options{Limit: 1 << 20, CleanupInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return &randomTree{t: t, random: random, managers: []*memory.Manager{root}}
}

func (tr *randomTree) step() {
	m, n := tr.managers[tr.random.IntN(len(tr.managers))], tr.random.IntN(100<<10)
	switch tr.random.IntN(10) {
	case 0:
		limit := int64(64<<10 + 4*n)
		if c, err := m.Child("child", &memory.ChildOptions{Limit: limit, Guarantee: tr.random.Int64N(64 << 10)}); err == nil {
			tr.managers = append(tr.managers, c)
		}
	case 1, 2:
		if b, err := m.TryAcquire(memory.KindChunk, n); err == nil {
			tr.held = append(tr.held, b)
		}
	case 3:
		if r, err := m.TryReserve(memory.KindChunk, int64(n), int64(n/2)); err == nil {
			tr.reservations = append(tr.reservations, r)
		}
	case 4:
		for _, r := range tr.reservations {
			if b, err := r.Acquire(memory.KindTransfer, n); err == nil {
				tr.held = append(tr.held, b)
			}
		}
	case 5, 6:
		tr.release(n)
	case 7:
		tr.endReservation(n)
	case 8:
		if n%4 == 0 && m != tr.managers[0] {
			_ = m.Close() // what is held goes on to the parent
		}
	case 9:
		if n%4 == 0 {
			_, _ = m.Cleanup(tr.t.Context())
		} else {
			_ = m.SetLimit(max(m.Used(), int64(4*n)+4096))
		}
	}
}

func (tr *randomTree) release(n int) {
	if len(tr.held) == 0 {
		return
	}
	i := n % len(tr.held)
	release(tr.t, tr.held[i])
	tr.held = slices.Delete(tr.held, i, i+1)
}

func (tr *randomTree) endReservation(n int) {
	if len(tr.reservations) == 0 {
		return
	}
	i := n % len(tr.reservations)
	if err := tr.reservations[i].Release(); err != nil {
		tr.t.Fatal(err)
	}
	tr.reservations = slices.Delete(tr.reservations, i, i+1)
}

// finish lets everything go, and checks that nothing is left.
func (tr *randomTree) finish() {
	for len(tr.held)+len(tr.reservations) > 0 {
		tr.release(0)
		tr.endReservation(0)
	}
	for _, m := range slices.Backward(tr.managers) {
		if s := m.Stats(); s.Allocated != 0 || s.Active != 0 || s.Leaks != 0 {
			tr.t.Errorf("left of manager %q: %+v", m.Name(), s)
		}
		if err := m.Close(); err != nil {
			tr.t.Error(err)
		}
	}
}
