package memory

import (
	"fmt"
	"math"
	"runtime/metrics"
	"sync"
)

// MinBudget is the smallest budget of a process, in bytes. A Go program that
// speaks HTTP needs about two thirds of it for itself.
const MinBudget = 32 << 20

// What is set aside for everything that isn't handed out by the manager, in
// bytes: the program's own pages, as many as its file has, and the Go heap with
// its stacks.
const (
	unknownProgram = 14 << 20 // where the system can't be asked
	minHeapShare   = 12 << 20
	maxHeapShare   = 64 << 20
)

// littleProgram isn't worth a look at which of it may go, in bytes.
const littleProgram = 4 << 20

// codeTicks is how many samples share one look at the program's pages: they
// change slowly, and to ask the system costs more than all the rest.
const codeTicks = 10

// headroom is never taken by what the runtime takes beyond its share.
const headroom = 1 << 20

// A Process holds a whole process to a budget, as the operating system
// measures it. Its root manager's limit is the budget less a share for the Go
// runtime and the program's own pages; the runtime is told to keep to its part
// of that share, plus what is charged for objects on the Go heap. What it
// takes beyond is measured ten times a second, counts as used, and so is made
// good by the rest. Open one for a process.
type Process struct {
	root    *Manager
	budget  int64
	program int64 // the most that the program's own pages take

	mu        sync.Mutex
	heap      heap
	code      int64 // what the program's own pages take, by the last look
	ticks     int
	excess    int64 // what the runtime takes beyond its share
	overdraft int64 // what of that is charged to the root
}

// ProcessStats are measured, in bytes.
type ProcessStats struct {
	Budget  int64
	Reserve int64 // the part of the budget that the manager does not hand out
	Runtime int64 // what the Go runtime and the program's own pages take
	RSS     int64 // resident now, by the operating system; 0 where it can't be asked
	PeakRSS int64
}

// OpenProcess makes the root manager for this process. opts.Limit is the
// budget of the whole process, by default DefaultLimit.
//
// Errors: as New, and a *LimitError for a budget below MinBudget.
func OpenProcess(opts *Options) (*Process, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Limit < MinBudget {
		return nil, fmt.Errorf("memory: open process: %w",
			&LimitError{Manager: "process", Limit: o.Limit, Requested: o.Limit, Needed: MinBudget})
	}
	p := &Process{budget: o.Limit, program: programBytes()}
	forbidHugeHeapPages()
	p.lookAtProgram()
	p.heap.take(heapShare(p.budget))
	o.Limit = p.budget - p.reserveFor(p.budget)
	newTree(o, p)
	return p, nil
}

func heapShare(budget int64) int64 { return min(max(budget/16, minHeapShare), maxHeapShare) }

// reserveFor never sets more than a quarter of a budget aside for the program's
// own pages: of a program larger than that, only what is resident counts.
func (p *Process) reserveFor(budget int64) int64 {
	return min(p.program, budget/4) + heapShare(budget)
}

// Manager returns the root of the tree.
func (p *Process) Manager() *Manager { return p.root }

// Budget returns the budget of the process in bytes.
func (p *Process) Budget() int64 { return p.budget }

// BudgetFor returns the smallest budget that makes the root's limit at least
// limit, in bytes, or the largest number where that is beyond it. Use it on
// LimitError.Needed.
func (p *Process) BudgetFor(limit int64) int64 {
	if limit > math.MaxInt64-p.program-maxHeapShare {
		return math.MaxInt64
	}
	budget := max(limit+p.reserveFor(MinBudget), MinBudget)
	for budget-p.reserveFor(budget) < limit {
		budget = limit + p.reserveFor(budget)
	}
	return budget
}

// Close closes the root manager and gives the runtime its former memory limit
// back.
func (p *Process) Close() error {
	err := p.root.Close()
	p.heap.giveBack()
	return err
}

// sample measures the runtime's share, keeps its limit in step with what is
// charged for objects on its heap, and charges what it takes beyond.
func (p *Process) sample() {
	if p == nil {
		return
	}
	foreign := p.foreignBytes()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ticks%codeTicks == 0 {
		p.lookAtProgram()
	}
	p.ticks++
	taken := mappedByRuntime() + p.code
	advance := p.spare(p.heap.wish())
	p.excess = max(0, taken-p.reserveFor(p.budget)-foreign-advance)
	p.charge(advance + p.excess)
	p.heap.allow(heapShare(p.budget), foreign, advance)
}

// lookAtProgram notes how much of the program is resident, and lets go of it where that
// is more than little: what is in use comes back at once, the rest when it is used again.
// Where other files are mapped, too, and larger ones, a look at each page may take long.
func (p *Process) lookAtProgram() {
	if p.code = codeBytes(); littleProgram < p.code && p.code <= p.program {
		releaseProgram()
	}
}

// spare is how much of an advance to the heap there is: all of it, or none where it
// would be missed.
func (p *Process) spare(advance int64) int64 {
	t := p.root.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.turns) > 0 || !p.root.calmWith(advance-p.overdraft) {
		return 0
	}
	return advance
}

// foreignBytes is what is charged for memory on the Go heap: for all but
// buffers, where these lie outside it.
func (p *Process) foreignBytes() int64 {
	t := p.root.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	foreign := p.root.used - p.overdraft
	if offHeap {
		foreign -= t.arena.committedBytes()
	}
	return max(0, foreign)
}

// charge makes the root count overdraft as used. It leaves headroom, so that
// whoever holds memory and needs a little more to let go of it gets that.
func (p *Process) charge(overdraft int64) {
	t := p.root.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	free := p.root.limit - (p.root.used - p.overdraft)
	overdraft = min(overdraft, max(0, free-headroom))
	change := overdraft - p.overdraft
	if change == 0 || p.root.closed {
		return
	}
	p.overdraft = overdraft
	p.root.charge(change)
	t.settle()
	t.observe(p.root)
}

// heapExceeds reports whether the runtime takes more than its share.
func (p *Process) heapExceeds() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.excess > 0
}

func (p *Process) stats() *ProcessStats {
	if p == nil {
		return nil
	}
	rss, peak := residentBytes()
	return &ProcessStats{
		Budget: p.budget, Reserve: p.reserveFor(p.budget),
		Runtime: mappedByRuntime() + codeBytes(), RSS: rss, PeakRSS: peak,
	}
}

// mappedByRuntime is what the Go runtime has of the system, in its own terms:
// those of the memory limit.
func mappedByRuntime() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}
