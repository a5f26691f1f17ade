package clusterstore

import (
	"context"
	"errors"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// refreshInterval is how old the state may be while bytes come: a unit may take hours,
// and who removes what is old sees the state only. A part that takes less is committed
// by then, so it costs a request only where bytes come very slowly, or for an upload that
// rested for long.
const refreshInterval = 15 * time.Minute

// refresh says in the state that the upload goes on, and no more than that: what is
// stored since the last commit isn't in it. It is called before each read of the
// source, maybe in the middle of a request, so it takes memory only where it is free.
func (t *transfer) refresh(ctx context.Context) error {
	now, u := time.Now(), t.upload
	if now.Before(t.refreshAt) {
		return nil
	}
	charge, err := u.store.mem.TryReserve(memory.KindConnection, u.store.sendSizes(u.record.bytes)...)
	if errors.Is(err, memory.ErrFull) {
		t.refreshAt = now.Add(u.store.refreshInterval / 60) // there may be some then
		return nil
	}
	if err != nil {
		return err
	}
	next := u.record.state.clone()
	next.Modified = now.UTC()
	t.refreshAt = now.Add(u.store.refreshInterval)
	return errors.Join(u.commit(ctx, next), charge.Release())
}

// goesOn: bytes came since that time, and there may be more.
func (st *state) goesOn(since time.Time) bool {
	return st != nil && st.Sum == nil && !st.Modified.Before(since)
}
