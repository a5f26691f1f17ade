package memory

import (
	"slices"
	"time"
)

// Stats describe a manager and all below it. Sizes are in bytes.
type Stats struct {
	Limit     int64 // what may be in use at the same time
	Guarantee int64
	Used      int64 // what counts against the limit: Allocated, Cached, and guarantees that are not used
	Allocated int64 // held by resources now
	Cached    int64 // released buffers that are kept for the next request
	Peak      int64 // the most that Used ever was
	Active    int64 // resources held now
	Level     Level
	// Thresholds of the levels, as fractions of the limit.
	Thresholds Thresholds

	Waiters  int    // requests that wait now
	Refusals uint64 // requests that could never fit, or could not wait
	Waits    uint64 // requests that have had to wait
	WaitTime time.Duration
	Gets     uint64 // buffers handed out
	Misses   uint64 // of those, not out of the manager's cache

	Leaks       uint64 // resources that were lost
	LeakedBytes int64
	Retired     int64 // address space, not memory, that is never used again

	LastGC time.Time // zero before the first collection
	Kinds  map[Kind]KindStats
	// Process is set at the root of a process.
	Process *ProcessStats
}

// KindStats describe the resources of one kind that are held now.
type KindStats struct {
	Active int64
	Bytes  int64 // as counted against the limit
}

// A Resource describes one resource that is held now.
type Resource struct {
	Manager   string
	ID        ID // of a tracked resource, else 0
	Kind      Kind
	Size      int64 // bytes asked for
	CreatedAt time.Time
	Metadata  map[string]any
	Stack     string // where it was allocated, if that was recorded, else ""

	cost  int64
	stack []uintptr
}

// counts are guarded by the mutex of the tree.
type counts struct {
	refusals, waits, gets, misses, leaks uint64
	leakedBytes                          int64
	waited                               time.Duration
}

func (c *counts) add(other counts) {
	c.refusals += other.refusals
	c.waits += other.waits
	c.gets += other.gets
	c.misses += other.misses
	c.leaks += other.leaks
	c.leakedBytes += other.leakedBytes
	c.waited += other.waited
}

// Stats returns the state of m and all managers below it at one moment.
func (m *Manager) Stats() Stats {
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stats{
		Limit: m.bound(), Guarantee: m.guarantee, Used: m.used, Peak: m.peak, Level: m.level, Thresholds: t.opts.Thresholds,
		LastGC: t.lastGC, Retired: t.arena.retiredBytes(), Kinds: make(map[Kind]KindStats),
	}
	var c counts
	m.eachManager(func(m *Manager) {
		s.Waiters += len(m.queue)
		c.add(m.counts)
		m.eachShard(func(sh *shard) {
			c.gets += sh.gets
			for _, h := range sh.cached {
				s.Cached += h.slot.bytes()
			}
		})
	})
	m.eachHeld(func(r Resource) {
		s.Active++
		s.Allocated += r.cost
		addKind(s.Kinds, r)
	})
	if m.parent == nil {
		s.Cached += t.idle.bytes
		s.Process = t.process.stats()
	}
	s.Refusals, s.Waits, s.WaitTime = c.refusals, c.waits, c.waited
	s.Gets, s.Misses = c.gets, c.misses
	s.Leaks, s.LeakedBytes = c.leaks, c.leakedBytes
	return s
}

// Used is that of Stats, which costs more the more is held.
func (m *Manager) Used() int64 {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	return m.used
}

// Resources lists what is held by m and all managers below it, oldest first.
func (m *Manager) Resources() []Resource {
	m.tree.mu.Lock()
	var list []Resource
	m.eachHeld(func(r Resource) {
		r.stack = slices.Clone(r.stack)
		list = append(list, r)
	})
	m.tree.mu.Unlock()
	for i := range list {
		list[i].Stack = formatStack(list[i].stack)
	}
	slices.SortStableFunc(list, func(a, b Resource) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return list
}

// eachHeld calls f for each resource of m and all managers below it.
func (m *Manager) eachHeld(f func(Resource)) {
	describe := func(m *Manager, r record, cost int64) Resource {
		return Resource{
			Manager: m.name, Kind: r.kind, Size: r.size, CreatedAt: m.tree.clock.at(r.created),
			cost: cost, stack: r.stack,
		}
	}
	m.eachManager(func(m *Manager) {
		m.eachShard(func(s *shard) {
			for _, sl := range s.slots {
				if sl.held {
					f(describe(m, sl.record, sl.bytes()))
				}
			}
		})
		for _, r := range m.resources {
			d := describe(m, r.record, r.size)
			d.ID, d.Metadata = r.id, r.metadata
			f(d)
		}
		for r := range m.reserved {
			cost := r.left
			for _, h := range r.unused {
				cost += h.slot.bytes()
			}
			f(describe(m, r.record, cost))
		}
	})
}

func addKind(kinds map[Kind]KindStats, r Resource) {
	k := kinds[r.Kind]
	k.Active++
	k.Bytes += r.cost
	kinds[r.Kind] = k
}

// DebugOptions are what Debug turns on and off.
type DebugOptions struct {
	Tracking bool // record the stack of every allocation
	Verbose  bool // log every resource that is acquired, tracked and released
}

// Debug changes how much is recorded and logged, for the whole tree.
func (m *Manager) Debug(opts DebugOptions) {
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	t.verbose = opts.Verbose
	t.detour(detourVerbose, opts.Verbose)
	t.detour(detourDetailed, opts.Tracking)
}
