package clusterstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

// Create implements store.Store. Name and metadata may take 32 KiB.
func (s *Store) Create(ctx context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	u, info, err := s.create(ctx, spec)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("create upload: %w", outward(err))
	}
	return u, info, nil
}

func (s *Store) create(ctx context.Context, spec store.Spec) (*Upload, store.Info, error) {
	switch {
	case spec.Length < store.UnknownLength || spec.UnitBytes < 0:
		return nil, store.Info{}, fmt.Errorf("%w: length %d or unit size %d", store.ErrInvalid, spec.Length, spec.UnitBytes)
	case spec.Length > s.opts.MaxLength:
		return nil, store.Info{}, fmt.Errorf("%w: %d bytes, %d at most", store.ErrTooLarge, spec.Length, s.opts.MaxLength)
	case spec.ID != "" && !uploadid.Valid(spec.ID):
		return nil, store.Info{}, fmt.Errorf("%w: id %.40q", store.ErrInvalid, spec.ID)
	}
	st, err := newState(spec)
	if err != nil {
		return nil, store.Info{}, err
	}
	charge, err := s.reserveSend(ctx, smallStateBytes+specBytes(spec))
	if err != nil {
		return nil, store.Info{}, err
	}
	defer func() { _ = charge.Release() }()
	id := spec.ID
	if id == "" {
		id = uploadid.New()
	} else if err := s.vacant(ctx, id); err != nil {
		return nil, store.Info{}, err
	}
	rec, err := s.write(ctx, s.uploadKey(id), st, bucket.Absent)
	if err == nil && spec.ID != "" {
		err = s.first(ctx, id)
	}
	if err != nil {
		return nil, store.Info{}, err
	}
	u := s.upload(id, rec)
	u.owned = true
	s.register(u)
	return u, s.info(id, st), nil
}

// vacant says whether a chosen id is taken, and removes what a crash has left of
// an upload that was aborted.
func (s *Store) vacant(ctx context.Context, id string) error {
	rec, err := s.load(ctx, id)
	switch {
	case err == nil:
		return store.ErrTaken
	case rec.state != nil && rec.state.Aborted:
		return s.discard(ctx, id)
	case isAbsent(err):
		return nil
	}
	return err
}

// first takes the state of a new upload back where one of that id was finished since
// it was vacant. What says so was there before the state of that one went.
func (s *Store) first(ctx context.Context, id string) error {
	ctx = context.WithoutCancel(ctx)
	_, err := s.bucket.Head(ctx, s.finishedKey(id))
	if isAbsent(err) {
		return nil
	}
	if err == nil {
		err = store.ErrTaken
	}
	return errors.Join(err, s.bucket.Remove(ctx, s.uploadKey(id)))
}
