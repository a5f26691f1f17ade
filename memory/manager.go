package memory

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what a resource is for. Any string will do; these are the kinds that
// Streamflow itself uses.
type Kind string

// Kinds of resources.
const (
	KindChunk      Kind = "chunk"      // a unit of an upload, held until acknowledged
	KindTransfer   Kind = "transfer"   // what bytes pass through from one place to another
	KindConnection Kind = "connection" // what a connection costs
	KindCompressor Kind = "compressor" // what bytes are compressed with
	KindEncryption Kind = "encryption" // what bytes are encrypted with, and what they become until acknowledged
)

// A Manager hands out memory within a limit. Make the root of a tree with New
// or OpenProcess and the rest with Child.
type Manager struct {
	name   string
	tree   *tree
	parent *Manager // nil at the root

	// shards hold the buffers, and cache released ones. They are made when
	// the first buffer is acquired.
	shards atomic.Pointer[shardSet]

	// What follows is guarded by tree.mu.

	ledger
	children  []*Manager
	queue     []*waiter // waiting requests of this manager, oldest first
	resources map[ID]*resource
	reserved  map[*reservation]struct{}
	level     Level
	entered   [Critical + 1]uint64        // how often each level was entered
	logged    [Critical + 1]time.Duration // when that was last logged, by the clock; 0 is never
	subs      []*Subscription
	counts    counts
	closed    bool
}

// A tree is what all managers below one root share.
type tree struct {
	root    *Manager
	opts    Options
	process *Process // of which this is the tree, or nil
	arena   *arena
	janitor *janitor
	clock   coarseClock

	// detours is not zero while buffers may not take the fast path.
	detours atomic.Uint32
	leaked  atomic.Pointer[map[Kind]bool] // kinds of which a resource was lost; replaced, not changed

	mu        sync.Mutex // guards the tree and all that is said to be
	turns     []*Manager // managers with waiting requests, whose turn it is first
	idle      idleSlots
	hooks     hooks
	spare     []*reservationHandle // reservations that are over
	lastID    ID
	history   history
	lastGC    time.Time
	pressed   int   // managers above level Normal
	lostBytes int64 // of all resources found lost so far
	verbose   bool  // log each resource
	backlog   backlog
}

// Reasons for buffers to take the slow path.
const (
	detourWaiting  uint32 = 1 << iota // somebody waits: release to him, don't cache
	detourPressed                     // a level is above Normal: don't cache
	detourGuard                       // each buffer has new addresses
	detourDetailed                    // take the stack of each allocation
	detourVerbose                     // log each resource
	detourLeaked                      // take the stack of the kinds that leaked
)

// New returns the root of a new tree. A nil opts means the defaults. The root
// owns two goroutines, which Close ends.
func New(opts *Options) (*Manager, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	return newTree(o, nil), nil
}

func newTree(o Options, p *Process) *Manager {
	t := &tree{opts: o, arena: newArena(), process: p}
	t.root = newManager(t, nil, o.Name, ledger{limit: o.Limit})
	if o.Guard || os.Getenv("STREAMFLOW_MEMORY_GUARD") == "1" {
		t.detour(detourGuard, true)
	}
	t.detour(detourDetailed, o.Tracking.Detailed && !o.Tracking.Disabled)
	if p != nil {
		p.root = t.root
	}
	t.clock.begin()
	startJanitor(t)
	return t.root
}

func newManager(t *tree, parent *Manager, name string, l ledger) *Manager {
	return &Manager{name: name, tree: t, parent: parent, ledger: l}
}

// Child returns a new manager below m, whose use counts against m as well. A
// nil opts means no limit and no guarantee of its own.
//
// Errors: ErrInvalid for options that make no sense, a *LimitError where the
// guarantee exceeds what m could ever give, ErrFull where m has no room for it
// now, ErrClosed.
func (m *Manager) Child(name string, opts *ChildOptions) (*Manager, error) {
	var o ChildOptions
	if opts != nil {
		o = *opts
	}
	if o.Limit < 0 || o.Guarantee < 0 || (o.Limit > 0 && o.Guarantee > o.Limit) {
		return nil, fmt.Errorf("memory: %w options of manager %q: limit %d, guarantee %d", ErrInvalid, name, o.Limit, o.Guarantee)
	}
	c := newManager(m.tree, m, name, ledger{limit: o.Limit, guarantee: o.Guarantee})
	if c.limit == 0 {
		c.limit = noLimit
	}
	if err := m.tree.adopt(c); err != nil {
		return nil, err
	}
	return c, nil
}

// adopt charges for the guarantee of c and makes c a child of its parent.
func (t *tree) adopt(c *Manager) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := c.parent
	if m.closed {
		return m.wrap("make child", ErrClosed)
	}
	if err := m.impossible(c.guarantee, c.guarantee); err != nil {
		return err
	}
	r := request{m: m, bytes: c.guarantee, requested: c.guarantee, class: noClass}
	if _, ok := t.place(r); !ok {
		return m.wrap("guarantee memory", ErrFull)
	}
	m.promised += c.guarantee
	m.children = append(m.children, c)
	return nil
}

// Name returns the name that m was made with.
func (m *Manager) Name() string { return m.name }

// Limit returns the limit of m in bytes: its own, or the nearest above it.
func (m *Manager) Limit() int64 {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	return m.bound()
}

// SetLimit changes the limit of m. Below what is in use now it takes nothing
// away: nothing more is handed out until enough has been released.
func (m *Manager) SetLimit(bytes int64) error {
	if bytes < minSlotBytes {
		return fmt.Errorf("memory: %w limit %d: the smallest is %d", ErrInvalid, bytes, minSlotBytes)
	}
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.promised > bytes {
		return fmt.Errorf("memory: %w limit %d: %d are guaranteed to children", ErrInvalid, bytes, m.promised)
	}
	m.limit = bytes
	t.refuseImpossible()
	t.settle()
	t.observe(m)
	return nil
}

// Close ends m and every manager below it: requests that wait end with
// ErrClosed, guarantees, caches and what is unused of reservations go back to
// the parent. What is still held is reported in a *HeldError and goes on to
// count at the parent until it is released, since its holder may still use it.
// Close of a root also waits for its goroutines. It is idempotent.
func (m *Manager) Close() error {
	held := m.close()
	if m.parent == nil {
		m.tree.janitor.stop()
		m.tree.writeLog()
		m.tree.arena.close()
	}
	if len(held) > 0 {
		return &HeldError{Manager: m.name, Kinds: held}
	}
	return nil
}

func (m *Manager) close() map[Kind]KindStats {
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.closed {
		return nil
	}
	held := make(map[Kind]KindStats)
	m.eachHeld(func(r Resource) { addKind(held, r) })
	t.closeTree(m)
	t.settle()
	t.observe(m)
	return held
}

// closeTree closes m after the managers below it.
func (t *tree) closeTree(m *Manager) {
	for _, c := range slices.Clone(m.children) {
		t.closeTree(c)
		t.assess(c) // one that is closed is under no pressure
	}
	m.closed = true
	for _, w := range slices.Clone(m.queue) {
		w.err = m.wrap("wait for memory", ErrClosed)
		t.leave(w)
	}
	t.dropShards(m)
	for _, s := range m.subs {
		s.end()
	}
	m.subs = nil
	if m.parent == nil {
		t.trimIdle(t.idle.bytes)
		return
	}
	m.parent.children = slices.DeleteFunc(m.parent.children, func(c *Manager) bool { return c == m })
	m.parent.inherit(m)
}

// wrap says which manager could not do what.
func (m *Manager) wrap(doing string, err error) error {
	return fmt.Errorf("memory: manager %q: %s: %w", m.name, doing, err)
}

// detour turns one reason for the slow path on or off.
func (t *tree) detour(reason uint32, on bool) {
	if on {
		t.detours.Or(reason)
	} else {
		t.detours.And(^reason)
	}
}

// fast reports whether buffers of the kind may take the fast path. It is
// inlined there, unlike what rarely follows.
func (t *tree) fast(kind Kind) bool { return t.detours.Load() == 0 || t.spared(kind) }

func (t *tree) spared(kind Kind) bool {
	return t.detours.Load() == detourLeaked && !(*t.leaked.Load())[kind]
}
