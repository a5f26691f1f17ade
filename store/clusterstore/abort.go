package clusterstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

// Abort implements store.Upload. It removes a finished object too, unless somebody
// else has put another in its place, or another node has finished it since u was opened.
func (u *Upload) Abort(ctx context.Context) error {
	if err := u.abort(ctx); err != nil {
		return fmt.Errorf("abort upload %s: %w", u.id, outward(err))
	}
	return nil
}

func (u *Upload) abort(ctx context.Context) error {
	err := u.begin(ctx)
	if isAbsent(err) {
		return nil // it is aborted
	}
	if err != nil {
		return err
	}
	defer u.end()
	s := u.store
	rec, err := s.load(ctx, u.id)
	switch {
	case err == nil && u.record.etag != "" && rec.etag != u.record.etag:
		err = store.ErrSuperseded // what another node did since is not u's to discard
	case err == nil && rec.state.Sum != nil:
		err = s.removeFinished(ctx, u.id)
	case err == nil:
		// No other node's write can bring it back from here on.
		err = s.condemn(ctx, u.id, rec)
	case rec.state != nil && rec.state.Aborted:
		err = s.discard(ctx, u.id)
	case isAbsent(err):
		err = nil
	}
	switch {
	case err == nil:
		u.take(fmt.Errorf("%w: it was aborted", store.ErrNotFound))
	case errors.Is(err, store.ErrSuperseded):
		u.take(store.ErrSuperseded)
	}
	return err
}

func (s *Store) condemn(ctx context.Context, id string, rec record) error {
	charge, err := s.reserveSend(ctx, rec.bytes)
	if err != nil {
		return err
	}
	defer func() { _ = charge.Release() }()
	next := rec.state.clone()
	next.Epoch++
	next.Aborted = true
	switch _, err := s.write(ctx, s.uploadKey(id), next, bucket.Precondition(rec.etag)); {
	case isAbsent(err):
		return store.ErrSuperseded // finished just now
	case err != nil:
		return err
	}
	return s.discard(ctx, id)
}

// discard removes all there is of an upload under way, also what no state names.
func (s *Store) discard(ctx context.Context, id string) error {
	for _, prefix := range []string{s.dataPrefix(id), s.target(id)} {
		for m, err := range s.bucket.Multiparts(ctx, prefix) {
			if err == nil {
				err = s.bucket.AbortMultipart(ctx, m.Multipart)
			}
			if err != nil {
				return err
			}
		}
	}
	for o, err := range s.bucket.Objects(ctx, s.dataPrefix(id)) {
		if err == nil {
			err = s.bucket.Remove(ctx, o.Key)
		}
		if err != nil {
			return err
		}
	}
	return s.bucket.Remove(ctx, s.uploadKey(id))
}

// removeFinished removes the object before what says that it is there.
func (s *Store) removeFinished(ctx context.Context, id string) error {
	o, err := s.bucket.Head(ctx, s.target(id))
	if err == nil && o.Mark == id {
		err = s.bucket.Remove(ctx, s.target(id))
	}
	if err != nil && !isAbsent(err) {
		return err
	}
	return s.bucket.Remove(ctx, s.finishedKey(id))
}
