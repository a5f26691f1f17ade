package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/streamflow/streamflow/store"
)

var _ store.Concatenator = (*Store)(nil)

// Concatenate implements store.Concatenator. S3 copies what has 5 MiB or more;
// less than that is read and sent.
func (s *Store) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Upload, store.Info, error) {
	u, info, err := s.concatenate(ctx, spec, ids)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("concatenate %d uploads: %w", len(ids), outward(err))
	}
	return u, info, nil
}

func (s *Store) concatenate(ctx context.Context, spec store.Spec, ids []string) (*Upload, store.Info, error) {
	objects, sniffed, err := s.gather(ctx, ids)
	if err != nil {
		return nil, store.Info{}, err
	}
	spec.Length = 0
	for _, o := range objects {
		if o.Size > math.MaxInt64-spec.Length {
			return nil, store.Info{}, fmt.Errorf("%w: the sum of the lengths", store.ErrTooLarge)
		}
		spec.Length += o.Size
	}
	u, info, err := s.create(ctx, spec)
	if err != nil || spec.Length == 0 {
		return u, info, err
	}
	if info, err = u.fill(ctx, objects, sniffed); err != nil {
		return nil, store.Info{}, errors.Join(err, u.Abort(context.WithoutCancel(ctx)))
	}
	return u, info, nil
}

// gather returns the objects that whole uploads lie in, and the media type by the
// first bytes.
func (s *Store) gather(ctx context.Context, ids []string) (all []object, sniffed string, err error) {
	for _, id := range ids {
		rec, objects, err := s.locate(ctx, id)
		if err != nil {
			return nil, "", fmt.Errorf("upload %.40s: %w", id, err)
		}
		if len(all) == 0 {
			sniffed = rec.state.Sniffed
		}
		all = append(all, objects...)
	}
	return all, sniffed, nil
}

// fill makes a run of objects that belong to other uploads.
func (u *Upload) fill(ctx context.Context, objects []object, sniffed string) (store.Info, error) {
	if err := u.begin(ctx); err != nil {
		return store.Info{}, err
	}
	defer u.end()
	s := u.store
	st, err := u.state(ctx)
	if err != nil {
		return store.Info{}, err
	}
	charge, err := s.reserveSend(ctx, u.record.bytes+smallStateBytes)
	if err != nil {
		return store.Info{}, err
	}
	defer func() { _ = charge.Release() }()
	next := st.clone()
	next.Sniffed = sniffed
	r, err := s.newRun(ctx, u.id, next)
	if err != nil {
		return store.Info{}, err
	}
	if err = s.copyInto(ctx, &r, objects); err == nil {
		next.Runs = append(next.Runs, r)
		err = u.commit(ctx, next)
	}
	if err != nil {
		s.removeData(context.WithoutCancel(ctx), r.multipart())
		return store.Info{}, err
	}
	return s.info(u.id, next), nil
}
