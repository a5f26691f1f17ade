package memory

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
	"weak"
)

// A slot is one piece of slab memory and what is known about who holds it. Its
// manager's shard refers to it strongly.
//
// A handle is what a Buffer refers to. While the buffer is held nothing else
// does, so that the handle's death says that the holder is gone; its cleanup
// is registered once, when the slot is made.
type slot struct {
	mem    []byte // the whole slot; its capacity ends where it does
	class  int
	self   weak.Pointer[handle]
	shard  shardRef // which shard's mutex guards what follows
	index  int      // in shard.slots, while held or cached
	held   bool
	serial uint64 // counts the holds: a Buffer is valid for one of them
	record
	loan loan
}

type handle struct{ slot *slot }

// A record is what is remembered of a resource.
type record struct {
	kind    Kind
	size    int64
	created int64     // by the coarse clock
	stack   []uintptr // empty where not sampled
}

// A shardRef is a slot's shard, which changes only while that shard is locked.
type shardRef struct{ p atomic.Pointer[shard] }

func (r *shardRef) set(s *shard) { r.p.Store(s) }

// lock returns the slot's shard, locked, or nil if it is in none.
func (r *shardRef) lock() *shard {
	for s := r.p.Load(); s != nil; s = r.p.Load() {
		s.mu.Lock()
		if r.p.Load() == s {
			return s
		}
		s.mu.Unlock()
	}
	return nil
}

// A shardSet spreads a manager's buffers so that goroutines rarely meet.
type shardSet struct {
	shards []shard
	shift  uint
}

// A shard holds some of a manager's buffers and caches released ones, which
// stay charged to the manager.
type shard struct {
	m *Manager

	mu       sync.Mutex
	closed   bool
	used     bool      // a buffer was released since the janitor last looked
	slots    []*slot   // held and cached
	cached   []*handle // the one released last is at the end
	toSample int64     // bytes until the next stack is taken
	gets     uint64

	_ [64]byte // keep neighbours off the cache line of the mutex
}

const (
	maxCached      = 4        // buffers in a shard
	patientBytes   = 64 << 10 // of a buffer that is worth waiting for
	sampleInterval = 32 << 20 // bytes from one sampled stack to the next
)

func newShardSet(m *Manager) *shardSet {
	n, shift := 1, uint(64)
	for n < 4*runtime.GOMAXPROCS(0) && n < 64 {
		n, shift = n*2, shift-1
	}
	set := &shardSet{shards: make([]shard, n), shift: shift}
	for i := range set.shards {
		set.shards[i].m = m
		set.shards[i].toSample = sampleInterval
	}
	return set
}

// near locks the calling goroutine's shard, or another that is free. The place
// of the stack tells goroutines apart and mostly stays what it is.
func (set *shardSet) near() *shard {
	var here byte
	home := uint(uint64(uintptr(unsafe.Pointer(&here))>>11) * 0x9E3779B97F4A7C15 >> (set.shift & 63))
	s := &set.shards[home&uint(len(set.shards)-1)]
	if s.mu.TryLock() {
		return s
	}
	return set.free(home)
}

// free locks a shard that nobody else has locked, or else the one at home.
func (set *shardSet) free(home uint) *shard {
	mask := uint(len(set.shards) - 1)
	for i := uint(1); i <= mask; i++ {
		if s := &set.shards[(home+i)&mask]; s.mu.TryLock() {
			return s
		}
	}
	s := &set.shards[home&mask]
	s.mu.Lock()
	return s
}

// steal takes a buffer of the class out of any shard. It passes one by that is locked,
// unless to wait for that is nothing to what new memory costs: a buffer that is there
// and isn't found is memory taken twice.
func (set *shardSet) steal(class int) *handle {
	patient := classBytes(class) >= patientBytes
	for i := range set.shards {
		s := &set.shards[i]
		if patient {
			s.mu.Lock()
		} else if !s.mu.TryLock() {
			continue
		}
		h := s.take(class)
		if h != nil {
			s.remove(h.slot)
		}
		s.mu.Unlock()
		if h != nil {
			return h
		}
	}
	return nil
}

// take takes a buffer of the class out of the cache, or returns nil. s is
// locked.
func (s *shard) take(class int) *handle {
	for i := len(s.cached) - 1; i >= 0; i-- {
		if h := s.cached[i]; h.slot.class == class {
			last := len(s.cached) - 1
			s.cached[i] = s.cached[last]
			s.cached[last] = nil
			s.cached = s.cached[:last]
			return h
		}
	}
	return nil
}

// hold hands out the slot of h, which is in s.slots. s is locked.
func (s *shard) hold(h *handle, kind Kind, n, now int64) Buffer {
	sl := h.slot
	sl.held = true
	sl.serial++
	sl.kind, sl.size, sl.created = kind, n, now
	s.gets++
	s.toSample -= n
	if s.toSample < 0 || len(sl.stack) > 0 {
		s.sample(sl)
	}
	return Buffer{h: h, serial: sl.serial, n: int(n)}
}

// sample records the stack of one hold in so many bytes, and forgets that of
// the slot's last.
func (s *shard) sample(sl *slot) {
	sl.stack = sl.stack[:0]
	if s.toSample >= 0 {
		return
	}
	s.toSample = sampleInterval
	if !s.m.tree.opts.Tracking.Disabled {
		sl.stack = callers(sl.stack)
	}
}

// add puts a slot into the shard. s is locked.
func (s *shard) add(sl *slot) {
	sl.shard.set(s)
	sl.index = len(s.slots)
	s.slots = append(s.slots, sl)
}

// remove takes a slot out of the shard. s is locked.
func (s *shard) remove(sl *slot) {
	last := len(s.slots) - 1
	moved := s.slots[last]
	s.slots[sl.index], moved.index = moved, sl.index
	s.slots[last] = nil
	s.slots = s.slots[:last]
	sl.shard.set(nil)
}

// uncache takes all cached buffers out of the shard. s is locked.
func (s *shard) uncache() []*handle {
	handles := s.cached
	s.cached = nil
	for _, h := range handles {
		s.remove(h.slot)
	}
	return handles
}
