package memory

import (
	"context"
	"slices"
	"time"
)

// MaxOvertakes is how many requests may be served before an older one that
// competes for the same room and doesn't fit yet.
const MaxOvertakes = 16

// A request is for bytes at m.
type request struct {
	m         *Manager
	bytes     int64
	requested int64 // what the caller asked for, before it was rounded up
	class     int   // of the buffer wanted, or noClass
}

const noClass = -1

// A waiter is a request that found no room. All but ready is guarded by the
// mutex of the tree.
type waiter struct {
	request
	since     int64 // by the coarse clock
	overtaken int
	done      bool
	slot      *handle // an idle buffer that came with the room, or nil
	err       error
	ready     chan struct{} // closed when done
}

// admit charges for r, and waits where there is no room. The buffer it returns
// is idle memory of the wanted class, already committed, or nil.
func (t *tree) admit(ctx context.Context, r request) (*handle, error) {
	if ctx.Err() != nil {
		return nil, r.m.wrap("take memory", context.Cause(ctx))
	}
	t.mu.Lock()
	if err := t.refuse(r); err != nil {
		t.mu.Unlock()
		return nil, err
	}
	if len(t.turns) == 0 {
		if h, ok := t.place(r); ok {
			t.mu.Unlock()
			return h, nil
		}
	}
	w := t.enqueue(r)
	t.settle()
	t.mu.Unlock()
	return t.await(ctx, w)
}

// admitNow is admit without waiting: ErrFull where there is no room.
func (t *tree) admitNow(r request) (*handle, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refuse(r); err != nil {
		return nil, err
	}
	if len(t.turns) == 0 {
		if h, ok := t.place(r); ok {
			return h, nil
		}
	}
	r.m.counts.refusals++
	return nil, r.m.wrap("take memory", ErrFull)
}

// admitSpare is admitNow for what can be done without. That there is no room, now or
// ever, is no refusal.
func (t *tree) admitSpare(r request) (*handle, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r.m.closed {
		return nil, r.m.wrap("take spare memory", ErrClosed)
	}
	if len(t.turns) == 0 && t.spares(r) {
		if h, ok := t.place(r); ok {
			return h, nil
		}
	}
	return nil, r.m.wrap("take spare memory", ErrFull)
}

// spares reports whether r leaves all levels at Normal, if need be without what is
// cached.
func (t *tree) spares(r request) bool {
	if r.m.calmWith(r.bytes) {
		return true
	}
	t.recallCaches()
	return r.m.calmWith(r.bytes)
}

// refuse returns why r will never be served, or nil.
func (t *tree) refuse(r request) error {
	var err error
	if r.m.closed {
		err = r.m.wrap("take memory", ErrClosed)
	} else {
		err = r.m.impossible(r.bytes, r.requested)
	}
	if err != nil {
		r.m.counts.refusals++
	}
	return err
}

// place charges for r if there is room, or room can be made by giving up idle
// and cached buffers.
func (t *tree) place(r request) (*handle, bool) {
	if h, ok := t.placeNow(r); ok {
		return h, true
	}
	t.recallCaches()
	if h, ok := t.placeNow(r); ok {
		return h, true
	}
	t.trimIdle(t.root.used + r.bytes - t.root.limit)
	return t.placeNow(r)
}

func (t *tree) placeNow(r request) (*handle, bool) {
	h := t.takeIdle(r.class)
	if !r.m.fits(r.bytes) {
		if h != nil {
			t.putIdle(h)
		}
		return nil, false
	}
	r.m.charge(r.bytes)
	t.observe(r.m)
	return h, true
}

func (t *tree) enqueue(r request) *waiter {
	w := &waiter{request: r, since: t.clock.now(), ready: make(chan struct{})}
	if len(r.m.queue) == 0 {
		t.turns = append(t.turns, r.m)
	}
	r.m.queue = append(r.m.queue, w)
	r.m.counts.waits++
	t.detour(detourWaiting, true)
	return w
}

func (t *tree) await(ctx context.Context, w *waiter) (*handle, error) {
	began := time.Now()
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w.m.counts.waited += time.Since(began)
	if !w.done {
		w.err = w.m.wrap("wait for memory", context.Cause(ctx))
		t.leave(w)
		t.settle() // the next in the queue may be smaller
	}
	return w.slot, w.err
}

// leave takes w out of its queue and lets it go on. A manager that was served
// goes to the end of the turns.
func (t *tree) leave(w *waiter) {
	m := w.m
	w.done = true
	close(w.ready)
	m.queue = slices.DeleteFunc(m.queue, func(other *waiter) bool { return other == w })
	if len(m.queue) == 0 || w.err == nil {
		t.turns = slices.DeleteFunc(t.turns, func(other *Manager) bool { return other == m })
		if len(m.queue) > 0 {
			t.turns = append(t.turns, m)
		}
	}
	t.detour(detourWaiting, len(t.turns) > 0)
}

// settle serves waiting requests until none of them may be served. It has to
// be called whenever room has come back or a queue has changed.
func (t *tree) settle() {
	for t.serveNext() {
	}
}

// serveNext serves the request whose turn it is, of those that fit, and counts
// those that it overtakes.
func (t *tree) serveNext() bool {
	var passed []*waiter
	// Lack room for a request that was overtaken often enough. It waits for the lowest
	// of those that do, so only that is kept for it: who holds what it waits for there
	// may need room above, before he can give it back.
	var kept []*Manager
	for _, m := range t.turns {
		w := m.queue[0]
		if m.competes(w.bytes, kept) {
			continue
		}
		if h, ok := t.place(w.request); ok {
			for _, p := range passed {
				p.overtaken++
			}
			w.slot = h
			t.leave(w)
			return true
		}
		if w.overtaken >= MaxOvertakes {
			kept = append(kept, m.lacking(w.bytes))
		} else {
			passed = append(passed, w)
		}
	}
	return false
}

// competes reports whether n more bytes of m would count at one of others.
func (m *Manager) competes(n int64, others []*Manager) bool {
	if len(others) == 0 {
		return false
	}
	for ; m != nil && n > 0; m = m.parent {
		if slices.Contains(others, m) {
			return true
		}
		n = m.claimWith(n) - m.claim()
	}
	return false
}

// stallTime is how long a request waits before a collection looks whether what
// it waits for is held by anybody.
const stallTime = time.Second

// stalled reports whether a request has waited for so long.
func (t *tree) stalled() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.now()
	return slices.ContainsFunc(t.turns, func(m *Manager) bool { return now-m.queue[0].since >= int64(stallTime) })
}

// refuseImpossible ends the requests that no longer can ever fit, after a
// limit was lowered.
func (t *tree) refuseImpossible() {
	for _, m := range slices.Clone(t.turns) {
		for _, w := range slices.Clone(m.queue) {
			if w.err = t.refuse(w.request); w.err != nil {
				t.leave(w)
			}
		}
	}
}
