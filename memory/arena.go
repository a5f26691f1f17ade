package memory

import "sync"

// An arena carves slots out of reserved address space. Address space is not
// memory: it costs none until it is touched, and released slots keep theirs
// for the next slot of the same class.
type arena struct {
	mu      sync.Mutex
	free    map[int][][]byte // by class: accessible, not committed
	regions [][]byte
	rest    []byte // what is not yet carved of the last region
	slots   int    // handed out and not yet put back
	bytes   int64  // of those slots
	retired int64  // bytes of addresses that are never used again
	closed  bool
}

// regionBytes is how much address space is reserved at a time.
const regionBytes = 64 << 20

func newArena() *arena { return &arena{free: make(map[int][][]byte)} }

// get returns memory of the class. It is not committed before it is touched.
func (a *arena) get(class int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slots++
	a.bytes += classBytes(class)
	if list := a.free[class]; len(list) > 0 {
		a.free[class] = list[:len(list)-1]
		return list[len(list)-1]
	}
	return a.carve(int(classBytes(class)))
}

func (a *arena) carve(n int) []byte {
	if !offHeap {
		return make([]byte, n)
	}
	step := (n + pageBytes - 1) &^ (pageBytes - 1)
	if len(a.rest) < step {
		region, err := reserve(max(regionBytes, step))
		if err != nil {
			return make([]byte, n) // no address space left: the heap is as good, counted the same
		}
		a.regions = append(a.regions, region)
		a.rest = region
	}
	mem := a.rest[:step:step]
	if unprotect(mem) != nil {
		return make([]byte, n)
	}
	a.rest = a.rest[step:]
	return mem[:n:n]
}

// put takes back memory that nobody uses any more, and gives its pages back to
// the system.
func (a *arena) put(class int, mem []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slots--
	a.bytes -= classBytes(class)
	if !a.owns(mem) {
		a.unmapIfDone()
		return
	}
	if decommit(mem) != nil {
		// Pages that the system won't take back must not be counted as free
		// memory of the process twice: don't hand them out again.
		a.retired += int64(len(mem))
		return
	}
	a.free[class] = append(a.free[class], mem)
	a.unmapIfDone()
}

// retire takes back memory that somebody may still use. Its pages go back to
// the system; its addresses are never used again, and touching them faults.
func (a *arena) retire(mem []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retired += int64(len(mem))
	a.bytes -= int64(len(mem))
	if !a.owns(mem) {
		poison(mem)
		return
	}
	if decommit(mem) == nil {
		_ = protect(mem) // decommitted memory is harmless without it
	}
}

// close unmaps everything as soon as all slots are back. Retired addresses
// stay mapped, and so does a region that has some.
func (a *arena) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.unmapIfDone()
}

func (a *arena) unmapIfDone() {
	if !a.closed || a.slots > 0 || a.retired > 0 {
		return
	}
	for _, region := range a.regions {
		_ = unreserve(region) // an address range that stays costs nothing
	}
	a.regions, a.rest, a.free = nil, nil, make(map[int][][]byte)
}

func (a *arena) retiredBytes() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.retired
}

func (a *arena) committedBytes() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bytes
}

// poison makes a use of heap memory after its release visible.
func poison(mem []byte) {
	for i := range mem {
		mem[i] = 0xdb
	}
}
