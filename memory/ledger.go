package memory

import "math"

const noLimit = math.MaxInt64

// A ledger is what a manager owes and may owe, in bytes. It is guarded by the
// mutex of the tree.
//
// Invariants, checked by the random-operation test:
//
//	used     = own + Σ claim of the children
//	claim    = max(used, guarantee)
//	promised = Σ guarantee of the children
//	used ≤ limit, unless the limit was lowered
//	peak ≥ used
type ledger struct {
	limit     int64 // or noLimit
	guarantee int64
	used      int64 // bytes counted here: those of m and the claims of its children
	peak      int64
	promised  int64
}

// claim is what a manager counts at its parent.
func (l *ledger) claim() int64 { return l.claimWith(0) }

// claimWith is what it would count with n more bytes.
func (l *ledger) claimWith(n int64) int64 { return max(l.used+n, l.guarantee) }

// charge counts n bytes, which may be negative, at m and its ancestors.
func (m *Manager) charge(n int64) {
	for ; m != nil && n != 0; m = m.parent {
		before := m.claim()
		m.used += n
		m.peak = max(m.peak, m.used)
		n = m.claim() - before
	}
}

// lacking returns the first of m and its ancestors that has no room for n more bytes,
// or nil. Cached and idle buffers count as used: see makeRoom.
func (m *Manager) lacking(n int64) *Manager {
	for ; m != nil && n > 0; m = m.parent {
		if n > m.limit-m.used {
			return m
		}
		n = m.claimWith(n) - m.claim()
	}
	return nil
}

// fits reports whether n more bytes have room at m and all its ancestors.
func (m *Manager) fits(n int64) bool {
	return m.lacking(n) == nil
}

// impossible returns a *LimitError if m could not hold n bytes even if all
// else were released. requested is what the caller asked for.
func (m *Manager) impossible(n, requested int64) error {
	var refusal *LimitError
	for ; m != nil; m = m.parent {
		needed := plus(m.promised, n)
		if needed > m.limit {
			// The last one found is the nearest to the root: raising the
			// limits below it would not help.
			refusal = &LimitError{Manager: m.name, Limit: m.limit, Requested: requested, InUse: m.used, Needed: needed}
		}
		n = max(needed, m.guarantee) - m.guarantee
	}
	if refusal == nil {
		return nil
	}
	return refusal
}

// bound is the limit of m or the smallest above it.
func (m *Manager) bound() int64 {
	b := m.limit
	for m = m.parent; m != nil; m = m.parent {
		b = min(b, m.limit)
	}
	return b
}

// inherit takes over what its closed child still holds.
func (m *Manager) inherit(child *Manager) {
	held := child.used
	before := child.claim()
	m.promised -= child.guarantee
	child.guarantee, child.used = 0, 0
	m.charge(held - before)
	m.adoptResources(child)
	m.counts.add(child.counts)
	child.counts = counts{}
}
