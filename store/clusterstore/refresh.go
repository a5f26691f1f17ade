package clusterstore

import (
	"context"
	"errors"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// refreshInterval is how long a Write leaves the state as it is while bytes come: a
// unit may take hours, and who removes what is old sees the state only.
const refreshInterval = time.Minute

// refresh says in the state that the upload goes on, and no more than that: what is
// stored since the last commit isn't in it. It is called before each read of the
// source, maybe in the middle of a request, so it takes memory only where it is free.
func (t *transfer) refresh(ctx context.Context) error {
	now, u := time.Now(), t.upload
	if now.Before(t.refreshAt) {
		return nil
	}
	t.refreshAt = now.Add(u.store.refreshInterval)
	if charge, err := u.store.mem.TryReserve(memory.KindConnection, u.store.sendSizes(u.record.bytes)...); err == nil {
		next := u.record.state.clone()
		next.Modified = now.UTC()
		return errors.Join(u.commit(ctx, next), charge.Release())
	}
	return nil // the next one may find some
}

// goesOn: bytes came since that time, and there may be more.
func (st *state) goesOn(since time.Time) bool {
	return st != nil && st.Sum == nil && !st.Modified.Before(since)
}
