package streamflow

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/streamflow/streamflow/store"
)

// A group runs the Writes of one attempt at an unordered store. After the first
// error nothing new begins, but what is under way runs to its end: cutting it
// would waste what has been sent.
type group struct {
	wg   sync.WaitGroup
	open context.Context // ends at the first error
	stop context.CancelCauseFunc
}

func newGroup(ctx context.Context) *group {
	g := &group{}
	g.open, g.stop = context.WithCancelCause(ctx)
	return g
}

func (g *group) run(write func() error) {
	g.wg.Go(func() {
		if err := write(); err != nil {
			g.stop(err)
		}
	})
}

// wait returns the first error, that of the caller included.
func (g *group) wait(err error) error {
	g.wg.Wait()
	if g.open.Err() != nil {
		err = context.Cause(g.open)
	}
	g.stop(nil)
	return err
}

// writeUnits sends the missing units of a file to an unordered store.
func (u *Upload) writeUnits(ctx context.Context, info store.Info) error {
	if u.parts == nil {
		from := u.checkpoints.before(info.Offset)
		if from.Offset%u.unitBytes != 0 {
			from.Offset, from.CRC32C = 0, 0
		}
		u.parts = newParts(from, u.checkpoints)
	}
	g := newGroup(ctx)
	return g.wait(u.eachMissing(ctx, g, info))
}

func (u *Upload) eachMissing(ctx context.Context, g *group, info store.Info) error {
	for r := range units(u.object.length, u.unitBytes) {
		if present(info, r) {
			if err := u.sumUnit(g.open, r); err != nil {
				return err
			}
			continue
		}
		if err := u.admit(g.open); err != nil {
			return err
		}
		g.run(func() error {
			defer u.admission.release()
			return u.writeUnit(ctx, r)
		})
	}
	return nil
}

// sumUnit reads a unit that is at the destination already, where its sum isn't
// known: it was sent by an earlier process, after that one's last checkpoint.
func (u *Upload) sumUnit(ctx context.Context, r store.Range) error {
	if u.m.opts.DisableChecksum || u.parts.has(r.Start) {
		return nil
	}
	sum, err := u.reread(ctx, r.Start, r.End, 0)
	if err != nil {
		return err
	}
	u.parts.add(r.Start, part{length: r.End - r.Start, sum: sum})
	return nil
}

func (u *Upload) writeUnit(ctx context.Context, unit store.Range) error {
	r := u.reader(unit.Start, unit.End)
	r.alone = true
	if _, err := u.writeSection(ctx, r); err != nil {
		u.counters.bytes.Add(unit.Start - r.off) // none of it is there
		return err
	}
	u.acknowledgeMore(unit.End - unit.Start)
	if r.hash {
		u.parts.add(unit.Start, part{length: unit.End - unit.Start, sum: r.sum})
	}
	return nil
}

// writeStreamUnits sends a stream to an unordered store, each unit as soon as
// half of it is read. The units in memory bound how many are under way.
func (u *Upload) writeStreamUnits(ctx context.Context, info store.Info) error {
	s := u.stream
	g := newGroup(ctx)
	err := g.wait(u.eachUnit(ctx, g))
	s.sweep()
	if err != nil {
		return err
	}
	if info.Length == store.UnknownLength {
		return u.dest.SetLength(ctx, s.finished.end())
	}
	return nil
}

// eachUnit begins with those that an earlier attempt read but didn't get
// acknowledged.
func (u *Upload) eachUnit(ctx context.Context, g *group) error {
	s := u.stream
	begin := func(n *unit) {
		u.began()
		g.run(func() error { return u.writeHeld(ctx, g.open, n) })
	}
	for _, n := range slices.Clone(s.held) {
		begin(n)
	}
	for {
		n, err := s.next(g.open)
		if errors.Is(err, errEnded) {
			return nil
		}
		if err != nil {
			return err
		}
		begin(n)
		s.sweep()
	}
}

// writeHeld sends a unit, perhaps while it is filled. Where the source ends within it,
// or is slow, it is sent again when it is whole, for which it waits until open ends.
func (u *Upload) writeHeld(ctx, open context.Context, n *unit) error {
	early := !n.isFull()
	size := len(n.room)
	if !early {
		size = len(n.p)
	}
	r := u.held(open, n, 0, size)
	err := u.writeAll(ctx, n, r)
	if early && r.dry && ctx.Err() == nil {
		if err := n.wait(open); err != nil {
			return err
		}
		err = u.writeAll(ctx, n, u.held(ctx, n, 0, len(n.p)))
	}
	if err != nil {
		return err
	}
	if err := n.wait(context.WithoutCancel(ctx)); err != nil { // at once: all of it has come
		return err
	}
	u.acknowledgeMore(n.end() - n.off)
	u.stream.drop(n)
	return nil
}

// writeAll sends what r has of a unit, whole or not at all.
func (u *Upload) writeAll(ctx context.Context, n *unit, r *heldReader) error {
	size := int64(r.end)
	if size == 0 {
		return nil
	}
	wrote, err := u.dest.Write(ctx, n.off, u.limited(ctx, r), size)
	if err = short(err, wrote, size); err != nil {
		u.counters.bytes.Add(-int64(r.pos)) // none of it is there
	}
	return err
}
