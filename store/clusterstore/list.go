package clusterstore

import (
	"context"
	"fmt"
	"iter"

	"github.com/streamflow/streamflow/store"
)

var _ store.Lister = (*Store)(nil)

// Unfinished implements store.Lister: each upload's state is read.
func (s *Store) Unfinished(ctx context.Context) iter.Seq2[store.Info, error] {
	return s.list(ctx, s.prefix+uploadsDir, func(info store.Info) (bool, error) { return !info.Complete, nil })
}

// Finished implements store.Lister. It looks at each object, too: what somebody
// else has put in its place is not listed.
func (s *Store) Finished(ctx context.Context) iter.Seq2[store.Info, error] {
	return s.list(ctx, s.prefix+finishedDir, func(info store.Info) (bool, error) {
		o, err := s.bucket.Head(ctx, s.target(info.ID))
		if isAbsent(err) {
			return false, nil
		}
		return o.Mark == info.ID, err
	})
}

func (s *Store) list(ctx context.Context, dir string, wanted func(store.Info) (bool, error)) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for o, err := range s.bucket.Objects(ctx, dir) {
			if err != nil {
				yield(store.Info{}, fmt.Errorf("list uploads in %s: %w", s.bucket.URI(s.prefix), outward(err)))
				return
			}
			if id := o.Key[len(dir):]; validID(id) && !s.yieldListed(ctx, id, wanted, yield) {
				return
			}
		}
	}
}

// yieldListed leaves out what was discarded when it was looked at.
func (s *Store) yieldListed(ctx context.Context, id string, wanted func(store.Info) (bool, error), yield func(store.Info, error) bool) bool {
	info, err := s.Stat(ctx, id)
	want := false
	if err == nil {
		want, err = wanted(info)
	}
	switch {
	case isAbsent(err), err == nil && !want:
		return true
	case err != nil && ctx.Err() != nil:
		yield(store.Info{}, err)
		return false
	case err != nil:
		return yield(store.Info{ID: id}, err)
	}
	return yield(info, nil)
}
