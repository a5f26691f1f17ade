package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// Freed says what a cleanup gave back, in bytes.
type Freed struct {
	Cached      int64 // buffers that nobody held, given back to the system
	Expired     int64 // tracked resources whose time was over
	Unreachable int64 // resources that were lost
	Hooks       int64 // what the OnCleanup hooks say they freed
	Collected   int64 // garbage of the Go heap
}

// Total is the sum of all that was freed.
func (f Freed) Total() int64 {
	return f.Cached + f.Expired + f.Unreachable + f.Hooks + f.Collected
}

// hooks are what users have registered. The lists are guarded by the mutex of
// the tree, and replaced rather than changed.
type hooks struct {
	cleanup  []*hook
	beforeGC []*hook

	running sync.Mutex // held by the cleanup under way
	budget  collectionBudget
}

type hook struct {
	priority int
	run      func(context.Context) int64 // returns the bytes it freed
}

// OnCleanup registers a hook that frees memory when a cleanup runs under
// pressure or is called for; it returns how many bytes it freed. Hooks of a
// higher priority run first. A hook must not call Cleanup.
func (m *Manager) OnCleanup(priority int, free func(context.Context) int64) (remove func()) {
	t := m.tree
	return t.addHook(&t.hooks.cleanup, &hook{priority: priority, run: free})
}

// OnBeforeGC registers a hook that runs before each collection that this
// package starts. Go has no hook before the collections of its runtime.
func (m *Manager) OnBeforeGC(before func()) (remove func()) {
	t := m.tree
	return t.addHook(&t.hooks.beforeGC, &hook{run: func(context.Context) int64 {
		before()
		return 0
	}})
}

func (t *tree) addHook(list *[]*hook, h *hook) (remove func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*list = append(slices.Clone(*list), h)
	slices.SortStableFunc(*list, func(a, b *hook) int { return cmp.Compare(b.priority, a.priority) })
	return func() { t.removeHook(list, h) }
}

func (t *tree) removeHook(list *[]*hook, h *hook) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*list = slices.DeleteFunc(slices.Clone(*list), func(other *hook) bool { return other == h })
}

// Cleanup frees what can be freed in the whole tree: idle buffers, expired and
// unreachable resources, what the hooks let go, and garbage where the Go heap
// takes part of the budget or a request has waited for a second. Collections
// take at most 5 % of one processor: within that share of the last one, Cleanup
// collects nothing.
//
// The only error is that of ctx, which ends it between two steps.
func (m *Manager) Cleanup(ctx context.Context) (Freed, error) {
	return m.tree.cleanUp(ctx, true)
}

// cleanUp runs the chain. Unless all is set it leaves the idle buffers that were
// needed lately: they are given up anyway before a request has to wait.
func (t *tree) cleanUp(ctx context.Context, all bool) (Freed, error) {
	return t.cleaning(func(freed *Freed) error {
		t.sweep(all, freed)
		for _, h := range t.hookList(&t.hooks.cleanup) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			freed.Hooks += h.run(ctx)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.collect(ctx, all, freed)
		return nil
	})
}

// tidy is the cleanup that runs at an interval: what nobody has needed since
// the last one.
func (t *tree) tidy() Freed {
	freed, _ := t.cleaning(func(freed *Freed) error {
		t.sweep(false, freed)
		return nil
	})
	return freed
}

// cleaning runs one cleanup at a time. Whether the runtime finds a resource
// lost meanwhile or the sweep does, it was freed by this cleanup.
func (t *tree) cleaning(clean func(*Freed) error) (Freed, error) {
	t.hooks.running.Lock()
	defer t.hooks.running.Unlock()
	var freed Freed
	lost := t.lostSoFar()
	err := clean(&freed)
	freed.Unreachable = t.lostSoFar() - lost
	return freed, err
}

func (t *tree) lostSoFar() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lostBytes
}

// hookList returns a list of hooks, which is replaced and never changed.
func (t *tree) hookList(list *[]*hook) []*hook {
	t.mu.Lock()
	defer t.mu.Unlock()
	return *list
}

// sweep gives up idle buffers, all of them or those that were not needed since
// it was last called, and the resources that are expired or unreachable.
func (t *tree) sweep(all bool, freed *Freed) {
	var expired []func()
	t.mu.Lock()
	if all {
		t.recallCaches()
		freed.Cached += t.trimIdle(t.idle.bytes)
	} else {
		t.recallUnused()
		freed.Cached += t.trimIdle(t.idle.low)
	}
	t.idle.low = t.idle.bytes
	now := t.clock.now()
	t.root.eachManager(func(m *Manager) {
		for _, r := range m.resources {
			switch {
			case !r.alive():
				t.leak(m, r)
			case r.expires != 0 && now >= r.expires:
				freed.Expired += r.size
				t.untrack(m, r)
				if r.onExpire != nil {
					expired = append(expired, r.onExpire)
				}
			}
		}
	})
	t.settle()
	t.root.eachManager(t.assess)
	t.mu.Unlock()
	for _, f := range expired {
		f()
	}
}

// recallUnused recalls the caches of the shards that nobody has used since it
// was last called.
func (t *tree) recallUnused() {
	t.root.eachManager(func(m *Manager) {
		m.eachShard(func(s *shard) {
			if !s.used {
				t.recall(s)
			}
			s.used = false
		})
	})
}
