package memory

// idleSlots are released buffers that keep their memory for the next request
// of their size. They are charged to the root alone.
type idleSlots struct {
	byClass map[int][]*handle
	bytes   int64
	low     int64 // the fewest bytes since the janitor last looked: nobody needs those
}

// putIdle keeps a slot whose bytes its manager was uncharged for, or drops it
// where the root has no room: the bytes may be guaranteed to that manager, and
// so not have come back.
func (t *tree) putIdle(h *handle) {
	if t.root.closed || h.slot.bytes() > t.root.limit-t.root.used {
		t.drop(h)
		return
	}
	if t.idle.byClass == nil {
		t.idle.byClass = make(map[int][]*handle)
	}
	t.idle.byClass[h.slot.class] = append(t.idle.byClass[h.slot.class], h)
	t.idle.bytes += h.slot.bytes()
	t.root.charge(h.slot.bytes())
}

// takeIdle returns an idle slot of the class, or nil.
func (t *tree) takeIdle(class int) *handle {
	handles := t.idle.byClass[class]
	if len(handles) == 0 {
		return nil
	}
	last := len(handles) - 1
	h := handles[last]
	handles[last] = nil
	t.idle.byClass[class] = handles[:last]
	t.idle.bytes -= h.slot.bytes()
	t.idle.low = min(t.idle.low, t.idle.bytes)
	t.root.charge(-h.slot.bytes())
	return h
}

// trimIdle gives at least n bytes of idle memory back to the system, or all
// there is. The pages are gone before their bytes can be handed out again,
// which is why this happens under the lock.
func (t *tree) trimIdle(n int64) (freed int64) {
	for class := range t.idle.byClass {
		for freed < n {
			h := t.takeIdle(class)
			if h == nil {
				break
			}
			t.drop(h)
			freed += h.slot.bytes()
		}
	}
	return freed
}

// drop gives a slot that nobody holds back to the system.
func (t *tree) drop(h *handle) { t.arena.put(h.slot.class, h.slot.mem) }

// recallCaches moves the cached buffers of all managers to the idle ones.
func (t *tree) recallCaches() {
	t.root.eachManager(func(m *Manager) {
		m.eachShard(t.recall)
	})
}

// recall moves the cached buffers of one shard to the idle ones. s is locked.
func (t *tree) recall(s *shard) {
	for _, h := range s.uncache() {
		s.m.charge(-h.slot.bytes())
		t.putIdle(h)
	}
}

// dropShards ends the fast path of a closed manager. What is cached becomes
// idle, and what is held moves to the parent.
func (t *tree) dropShards(m *Manager) {
	m.eachShard(func(s *shard) {
		s.closed = true
		m.counts.gets += s.gets
		s.gets = 0
		t.recall(s)
		if m.parent == nil {
			return
		}
		heir := m.parent.shardSet().near()
		for len(s.slots) > 0 {
			sl := s.slots[len(s.slots)-1]
			s.remove(sl)
			heir.add(sl)
		}
		heir.mu.Unlock()
	})
}

// eachManager calls f for m and all below it.
func (m *Manager) eachManager(f func(*Manager)) {
	f(m)
	for _, c := range m.children {
		c.eachManager(f)
	}
}

// eachShard calls f for each shard, locked.
func (m *Manager) eachShard(f func(*shard)) {
	set := m.shards.Load()
	if set == nil {
		return
	}
	for i := range set.shards {
		s := &set.shards[i]
		s.mu.Lock()
		f(s)
		s.mu.Unlock()
	}
}

// shardSet returns m's shards, and makes them if need be. t.mu is locked.
func (m *Manager) shardSet() *shardSet {
	set := m.shards.Load()
	if set == nil {
		set = newShardSet(m)
		m.shards.Store(set)
	}
	return set
}
