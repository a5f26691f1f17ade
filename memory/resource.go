package memory

import (
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"time"
	"weak"
)

// An ID names a tracked resource. IDs are not used again within a tree.
type ID uint64

// TrackOptions of a resource. The zero value, and nil, mean none.
type TrackOptions struct {
	// Metadata is kept for Resources and leak reports where
	// Options.Tracking.Metadata says so.
	Metadata map[string]any
	// ExpireAfter is how long the resource may live before the cleanup
	// releases it. Default: for ever.
	ExpireAfter time.Duration
	// OnExpire is called when the cleanup has released the resource because
	// its time was over, to let go of the object. It must not refer to it
	// strongly, or the object never becomes unreachable, and must not call
	// Cleanup, which waits for it.
	OnExpire func()
}

// A resource is a tracked object, guarded by the mutex of the tree.
type resource struct {
	record
	id       ID
	metadata map[string]any
	expires  int64 // by the coarse clock, or 0
	onExpire func()
	alive    func() bool // asks the weak pointer
	cleanup  runtime.Cleanup
}

// Track charges m for the object v points to, which somebody else allocated,
// and follows it with a weak pointer: if v becomes unreachable before Release
// is called, the bytes come back and a Leak is reported. A nil opts means the
// defaults.
//
// Track never waits, since the object exists already.
//
// Errors: ErrFull if there is no room now, a *LimitError if there never can be,
// ErrClosed, ErrInvalid.
func Track[T any](m *Manager, v *T, kind Kind, size int64, opts *TrackOptions) (ID, error) {
	if v == nil || size < 0 {
		return 0, m.wrap("track resource", fmt.Errorf("%w object or size %d", ErrInvalid, size))
	}
	w := weak.Make(v)
	r := m.tree.newResource(kind, size, opts)
	r.alive = func() bool { return w.Value() != nil }
	if err := m.tree.track(m, r); err != nil {
		return 0, err
	}
	cleanup := runtime.AddCleanup(v, m.tree.loseResource, lostResource{m, r.id})
	m.tree.register(r, cleanup)
	runtime.KeepAlive(v)
	return r.id, nil
}

type lostResource struct {
	m  *Manager
	id ID
}

func (t *tree) newResource(kind Kind, size int64, opts *TrackOptions) *resource {
	now := t.clock.now()
	r := &resource{record: record{kind: kind, size: size, created: now}}
	if opts == nil {
		return r
	}
	if t.opts.Tracking.Metadata {
		r.metadata = maps.Clone(opts.Metadata)
	}
	if opts.ExpireAfter > 0 {
		r.expires = now + int64(opts.ExpireAfter)
	}
	r.onExpire = opts.OnExpire
	return r
}

func (t *tree) track(m *Manager, r *resource) error {
	if _, err := t.admitNow(request{m: m, bytes: r.size, requested: r.size, class: noClass}); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastID++
	r.id = t.lastID
	if t.wantsStack(r.kind) {
		r.stack = callers(nil)
	}
	m = t.heir(m)
	if m.resources == nil {
		m.resources = make(map[ID]*resource)
	}
	m.resources[r.id] = r
	if t.verbose {
		t.log(slog.LevelDebug, "memory tracked", slog.String("manager", m.name), slog.String("kind", string(r.kind)), slog.Int64("bytes", r.size), slog.Uint64("id", uint64(r.id)))
	}
	return nil
}

func (t *tree) register(r *resource, cleanup runtime.Cleanup) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.cleanup = cleanup
}

// Release ends the tracking of a resource and gives its bytes back.
//
// Errors: ErrReleased if it was released before, ErrUnknown for an id that
// Track of this manager never returned.
func (m *Manager) Release(id ID) error {
	t := m.tree
	t.mu.Lock()
	defer t.mu.Unlock()
	holder := t.heir(m)
	r := holder.resources[id]
	if r == nil {
		return t.history.explain(m, id)
	}
	t.untrack(holder, r)
	t.settle()
	t.observe(holder)
	return nil
}

// untrack forgets a resource and uncharges its bytes.
func (t *tree) untrack(m *Manager, r *resource) {
	r.cleanup.Stop()
	delete(m.resources, r.id)
	m.charge(-r.size)
	t.history.add(m, r)
	if t.verbose {
		t.log(slog.LevelDebug, "memory released", slog.String("manager", m.name), slog.String("kind", string(r.kind)), slog.Int64("bytes", r.size), slog.Uint64("id", uint64(r.id)))
	}
}

// loseResource is called when a tracked object has become unreachable.
func (t *tree) loseResource(lost lostResource) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.heir(lost.m)
	if r := m.resources[lost.id]; r != nil {
		t.leak(m, r)
	}
}

func (t *tree) leak(m *Manager, r *resource) {
	t.untrack(m, r)
	t.reportLeak(m, r.record, r.metadata)
	t.settle()
	t.observe(m)
}

// adoptResources takes over what a closed child tracked and reserved.
func (m *Manager) adoptResources(child *Manager) {
	if m.resources == nil && len(child.resources) > 0 {
		m.resources = make(map[ID]*resource)
	}
	maps.Copy(m.resources, child.resources)
	if m.reserved == nil && len(child.reserved) > 0 {
		m.reserved = make(map[*reservation]struct{})
	}
	maps.Copy(m.reserved, child.reserved)
	child.resources, child.reserved = nil, nil
}

// A history remembers the resources released last, to name one that is
// released again.
type history struct {
	entries [256]released
	next    int
}

type released struct {
	id      ID
	manager string
	kind    Kind
	size    int64
}

func (h *history) add(m *Manager, r *resource) {
	h.entries[h.next] = released{r.id, m.name, r.kind, r.size}
	h.next = (h.next + 1) % len(h.entries)
}

// explain says what became of an id that m doesn't track.
func (h *history) explain(m *Manager, id ID) error {
	for _, e := range h.entries {
		if e.id == id && id != 0 {
			return fmt.Errorf("memory: release resource %d (%q, %d bytes, of manager %q): %w", id, e.kind, e.size, e.manager, ErrReleased)
		}
	}
	if id != 0 && id <= m.tree.lastID {
		return fmt.Errorf("memory: release resource %d: not held by manager %q: %w", id, m.name, ErrReleased)
	}
	return fmt.Errorf("memory: release resource %d: %w", id, ErrUnknown)
}
