package memory

import "fmt"

// CheckInvariants returns what is wrong with the tree below root. Nothing may
// be between two steps: no request half served, no release half done.
func CheckInvariants(root *Manager) error {
	t := root.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	c := checker{t: t, seen: make(map[*slot]string)}
	for class, handles := range t.idle.byClass {
		for _, h := range handles {
			c.place(h.slot, "idle")
			if h.slot.class != class || h.slot.held || h.slot.shard.p.Load() != nil {
				c.fail("idle slot of class %d: class %d, held %v, in a shard", class, h.slot.class, h.slot.held)
			}
		}
	}
	root.eachManager(c.manager)
	c.queue()
	if pressed := t.detours.Load()&detourPressed != 0; pressed != (c.pressed > 0) || t.pressed != c.pressed {
		c.fail("%d managers under pressure, counted %d, detour %v", c.pressed, t.pressed, pressed)
	}
	return c.err
}

type checker struct {
	t       *tree
	seen    map[*slot]string
	pressed int
	err     error
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *checker) place(sl *slot, where string) {
	if before := c.seen[sl]; before != "" {
		c.fail("a slot is in two places: %s and %s", before, where)
	}
	c.seen[sl] = where
}

func (c *checker) manager(m *Manager) {
	var used, promised int64
	if m.parent == nil {
		used = c.t.idle.bytes
		if p := c.t.process; p != nil {
			used += p.overdraft
		}
	}
	for _, child := range m.children {
		used += child.claim()
		promised += child.guarantee
	}
	m.eachShard(func(s *shard) {
		for i, sl := range s.slots {
			c.place(sl, m.name)
			if sl.index != i || sl.shard.p.Load() != s {
				c.fail("manager %q: a slot doesn't know its place", m.name)
			}
			if !sl.loan.open() || !sl.held {
				used += sl.bytes()
			}
		}
		for _, h := range s.cached {
			if h.slot.held || h.slot.shard.p.Load() != s {
				c.fail("manager %q: a cached slot is held or elsewhere", m.name)
			}
		}
	})
	for _, r := range m.resources {
		used += r.size
	}
	for r := range m.reserved {
		used += c.reservation(m, r)
	}
	if used != m.used || promised != m.promised {
		c.fail("manager %q: used %d, promised %d, but should be %d, %d", m.name, m.used, m.promised, used, promised)
	}
	if m.used > m.limit || m.peak < m.used || m.used < 0 {
		c.fail("manager %q: used %d, limit %d, peak %d", m.name, m.used, m.limit, m.peak)
	}
	if m.nextLevel() != m.level {
		c.fail("manager %q: level %v, should be %v", m.name, m.level, m.nextLevel())
	}
	if m.level > Normal {
		c.pressed++
	}
	// Every visit to Warning leads to Normal or to Critical, and back.
	visits := m.entered[Warning]
	if m.level == Warning {
		visits--
	}
	if visits != m.entered[Normal]+m.entered[Critical] {
		c.fail("manager %q: at level %v after entering %v: the levels don't alternate", m.name, m.level, m.entered)
	}
}

// reservation returns what a reservation counts, with the buffers held from it.
func (c *checker) reservation(m *Manager, r *reservation) int64 {
	bytes := r.left
	for _, h := range r.unused {
		c.place(h.slot, "reservation")
		bytes += h.slot.bytes()
	}
	m.eachShard(func(s *shard) {
		for _, sl := range s.slots {
			if sl.loan.r == r && sl.loan.open() && sl.held {
				bytes += sl.bytes()
			}
		}
	})
	if bytes != r.size {
		c.fail("manager %q: a reservation of %d bytes accounts for %d", m.name, r.size, bytes)
	}
	return bytes
}

// queue looks for a request that waits though it may be served.
func (c *checker) queue() {
	if waiting := c.t.detours.Load()&detourWaiting != 0; waiting != (len(c.t.turns) > 0) {
		c.fail("%d managers wait, detour %v", len(c.t.turns), waiting)
	}
	var kept []*Manager
	for _, m := range c.t.turns {
		w := m.queue[0]
		switch {
		case m.competes(w.bytes, kept):
		case m.fits(w.bytes):
			c.fail("manager %q: a request of %d bytes waits and would fit", m.name, w.bytes)
		case w.overtaken >= MaxOvertakes:
			kept = append(kept, m.lacking(w.bytes))
		}
		if w.overtaken > MaxOvertakes {
			c.fail("manager %q: a request was overtaken %d times", m.name, w.overtaken)
		}
	}
}

// ClockTick is how exact creation times are.
const ClockTick = clockTick

// LimitOf is the limit of the root manager of a process with the budget.
func (p *Process) LimitOf(budget int64) int64 { return budget - p.reserveFor(budget) }

// ProgramBytes is the most that the program's own pages take.
var ProgramBytes = programBytes
