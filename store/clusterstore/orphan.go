package clusterstore

import (
	"context"
	"fmt"
	"time"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

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
