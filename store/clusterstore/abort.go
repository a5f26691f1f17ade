package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/uploadid"
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

var _ store.Cleaner = (*Store)(nil)

// RemoveOrphans implements store.Cleaner: nodes that died left objects and
// multipart uploads that no state names, or uploads half aborted. Of an upload that
// goes on they may be of a part that comes slowly, so they stay for that long.
func (s *Store) RemoveOrphans(ctx context.Context, before time.Time) (int, error) {
	removed, err := s.removeOrphans(ctx, before)
	if err != nil {
		return removed, fmt.Errorf("remove orphans in %s: %w", s.bucket.URI(s.prefix), outward(err))
	}
	return removed, nil
}

func (s *Store) removeOrphans(ctx context.Context, before time.Time) (removed int, err error) {
	named := namesOf{load: s.load}
	remove := func(m bucket.Multipart, since time.Time) error {
		id, ok := s.owner(m.Key)
		if !ok || !since.Before(before) {
			return nil
		}
		has, err := named.has(ctx, id, m)
		if err != nil || has || named.state.goesOn(before) {
			return err
		}
		removed++
		return s.remove(ctx, m)
	}
	if err := s.removeAborted(ctx, before); err != nil {
		return 0, err
	}
	for o, err := range s.bucket.Objects(ctx, s.prefix+dataDir) {
		if err == nil {
			err = remove(bucket.Multipart{Key: o.Key}, o.Modified)
		}
		if err != nil {
			return removed, err
		}
	}
	for m, err := range s.bucket.Multiparts(ctx, s.prefix) {
		if err == nil {
			err = remove(m.Multipart, m.Initiated)
		}
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// removeAborted finishes what an Abort began that was cut off.
func (s *Store) removeAborted(ctx context.Context, before time.Time) error {
	dir := s.prefix + uploadsDir
	for o, err := range s.bucket.Objects(ctx, dir) {
		if err != nil {
			return err
		}
		id := o.Key[len(dir):]
		if !uploadid.Valid(id) || !o.Modified.Before(before) {
			continue
		}
		if rec, _ := s.load(ctx, id); rec.state != nil && rec.state.Aborted {
			if err := s.discard(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// namesOf knows what the state names of the upload that was asked for last: a
// list has what belongs to one upload together.
type namesOf struct {
	load  func(ctx context.Context, id string) (record, error)
	id    string
	state *state // or nil
}

func (n *namesOf) has(ctx context.Context, id string, m bucket.Multipart) (bool, error) {
	if n.id != id {
		rec, err := n.load(ctx, id)
		if err != nil && !isAbsent(err) {
			return false, err
		}
		n.id, n.state = id, rec.state
		if err != nil {
			n.state = nil
		}
	}
	return n.state != nil && n.state.names(m), nil
}
