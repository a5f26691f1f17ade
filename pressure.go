package streamflow

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// starvation is how long an upload with nothing under way waits at the critical
// level before the youngest such upload gives up.
const starvation = 30 * time.Second

// A gate tells uploads the level of the budget and when it changes.
type gate struct {
	mem *memory.Manager

	mu         sync.Mutex
	changed    chan struct{}       // closed at the next change
	waiting    map[uint64]struct{} // births of the uploads that starve
	sacrificed time.Time           // when one last gave up
}

func newGate(mem *memory.Manager) *gate {
	return &gate{mem: mem, changed: make(chan struct{}), waiting: map[uint64]struct{}{}}
}

// level returns the level, and a channel that is closed when it has changed.
func (g *gate) level() (memory.Level, <-chan struct{}) {
	g.mu.Lock()
	changed := g.changed
	g.mu.Unlock()
	// Read after the channel was taken, so no change can fall between.
	return g.mem.Level(), changed
}

func (g *gate) broadcast() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.changed)
	g.changed = make(chan struct{})
}

// starve waits at the critical level until it changes. It returns ErrPressure
// to the youngest that waits, each time the level has stood still for so long.
func (g *gate) starve(ctx context.Context, birth uint64, changed <-chan struct{}) error {
	g.mu.Lock()
	g.waiting[birth] = struct{}{}
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		delete(g.waiting, birth)
		g.mu.Unlock()
	}()
	for {
		timer := time.NewTimer(starvation)
		select {
		case <-changed:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
			// A manager above the budget may have changed without telling.
			if g.mem.Level() != memory.Critical {
				return nil
			}
			if g.sacrifice(birth) {
				return ErrPressure
			}
		}
	}
}

// sacrifice reports whether this upload is the one to give up: the youngest,
// unless another just did, which may have been enough.
func (g *gate) sacrifice(birth uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.sacrificed) < starvation {
		return false
	}
	for other := range g.waiting {
		if other > birth {
			return false
		}
	}
	g.sacrificed = time.Now()
	return true
}

// An admission bounds the units under way in one upload: as many as Streams at
// the normal level, one at warning, no new one at critical.
//
// It can't deadlock: whoever has taken a unit needs nothing from here to send
// it and give it back, and an upload with no unit waits for the level only,
// for a bounded time.
type admission struct {
	gate    *gate
	streams int
	birth   uint64        // rises from upload to upload
	freed   chan struct{} // holds a token after a release

	mu   sync.Mutex
	held int
}

func newAdmission(g *gate, streams int, birth uint64) *admission {
	return &admission{gate: g, streams: streams, birth: birth, freed: make(chan struct{}, 1)}
}

// take waits until one more unit may begin and returns the level it begins at.
// One goroutine at a time may call it.
func (a *admission) take(ctx context.Context) (memory.Level, error) {
	for {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		level, changed := a.gate.level()
		taken, idle := a.try(level)
		if taken {
			return level, nil
		}
		if idle {
			if err := a.gate.starve(ctx, a.birth, changed); err != nil {
				return 0, err
			}
			continue
		}
		select {
		case <-changed:
		case <-a.freed:
		case <-ctx.Done():
		}
	}
}

func (a *admission) try(level memory.Level) (taken, idle bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	most := a.streams
	switch level {
	case memory.Warning:
		most = 1
	case memory.Critical:
		most = 0
	}
	if a.held < most {
		a.held++
		return true, false
	}
	return false, a.held == 0
}

// release gives back what take took.
func (a *admission) release() {
	a.mu.Lock()
	a.held--
	a.mu.Unlock()
	select {
	case a.freed <- struct{}{}:
	default:
	}
}

// storeReserve of the budget is never held by units of streams. Without it they
// could fill the budget while each waits for the buffer that its store needs to
// send it. Stores hold their buffers for one call only and wait for nothing
// else meanwhile, so with this much left some call always ends.
const storeReserve = 1 << 20

// unitsLimit is how much of a budget of limit bytes units and encoders may fill.
func unitsLimit(limit int64) int64 { return max(limit-storeReserve, 4<<10) }

// encodersReserve of the budget is never held by encoders: they are held for as
// long as an upload takes, and one that waits for a unit needs another to end.
func (m *Manager) encodersReserve() int64 {
	return storeReserve + memory.Cost(max(m.opts.ChunkBytes, m.dst.Limits().MinUnitBytes))
}

// encodersLimit is how much of the budget encoders may hold: half of it, or else what
// one upload takes. With more of them alone it might stay at a level at which uploads
// begin no unit, and then none of them would end.
func (m *Manager) encodersLimit() int64 {
	var one int64
	_, sizes := m.encoderMemory()
	for _, n := range sizes {
		one += memory.Cost(n)
	}
	limit := m.mem.Limit()
	return max(min(max(limit/2, one), limit-m.encodersReserve()), 4<<10)
}

func (m *Manager) setLimits() error {
	err := m.units.SetLimit(unitsLimit(m.mem.Limit()))
	if err == nil && m.encoders != nil {
		err = m.encoders.SetLimit(m.encodersLimit())
	}
	return err
}

// explainLimit turns an error about what can never fit into one about the whole
// budget, of which that leaves reserve to others.
func explainLimit(err error, mem *memory.Manager, reserve int64) error {
	e, ok := errors.AsType[*memory.LimitError](err)
	if !ok {
		return err
	}
	whole := *e
	whole.Limit = mem.Limit()
	whole.Needed = e.Needed + reserve
	return &whole
}
