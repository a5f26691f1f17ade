package clusterstore

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

var _ store.Lister = (*Store)(nil)

// Unfinished implements store.Lister. It reads the state of each upload, but none
// that was written since before, by the clock of the service.
func (s *Store) Unfinished(ctx context.Context, before time.Time) iter.Seq2[store.Info, error] {
	return s.list(ctx, s.prefix+uploadsDir, before, func(string) (bool, error) { return true, nil })
}

// Finished implements store.Lister, as Unfinished does. It looks at each object,
// too: what somebody else has put in its place is not listed.
func (s *Store) Finished(ctx context.Context, before time.Time) iter.Seq2[store.Info, error] {
	return s.list(ctx, s.prefix+finishedDir, before, func(id string) (bool, error) {
		o, err := s.bucket.Head(ctx, s.target(id))
		return o.Mark == id, err
	})
}

// list yields the uploads whose states lie in dir, and were written before that time
// unless it is zero.
func (s *Store) list(ctx context.Context, dir string, before time.Time, wanted func(id string) (bool, error)) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for o, err := range s.bucket.Objects(ctx, dir) {
			if err != nil {
				yield(store.Info{}, fmt.Errorf("list uploads in %s: %w", s.bucket.URI(s.prefix), outward(err)))
				return
			}
			if !before.IsZero() && !o.Modified.Before(before) {
				continue
			}
			if id := o.Key[len(dir):]; uploadid.Valid(id) && !s.yieldListed(ctx, dir, id, wanted, yield) {
				return
			}
		}
	}
}

// yieldListed leaves out what was discarded when it was looked at.
func (s *Store) yieldListed(ctx context.Context, dir, id string, wanted func(id string) (bool, error), yield func(store.Info, error) bool) bool {
	rec, err := s.read(ctx, dir+id)
	want := err == nil && !rec.state.Aborted
	if want {
		want, err = wanted(id)
	}
	switch {
	case isAbsent(err), err == nil && !want:
		return true
	case err == nil:
		return yield(s.info(id, rec.state), nil)
	}
	err = fmt.Errorf("look up upload %s: %w", id, outward(err))
	if ctx.Err() != nil {
		yield(store.Info{}, err)
		return false
	}
	return yield(store.Info{ID: id}, err)
}
