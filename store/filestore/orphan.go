package filestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/streamflow/streamflow/store"
)

var _ store.Cleaner = (*Store)(nil)

// RemoveOrphans implements [store.Cleaner]: a power loss may take the log of an upload
// and leave the part, and a crash may come before the end of Abort.
func (s *Store) RemoveOrphans(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	var errs []error
	for id, err := range s.ids(ctx, partName("")) {
		gone := false
		if err == nil {
			gone, err = s.removeOrphan(id, before)
		}
		if gone {
			removed++
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return removed, fmt.Errorf("remove orphans: %w", err)
	}
	return removed, nil
}

// removeOrphan removes a part that nobody can find any more. A log that is damaged says
// as little as one that is missing, but somebody may be able to mend it.
func (s *Store) removeOrphan(id string, before time.Time) (bool, error) {
	part, err := s.root.Lstat(filepath.Join(stateDir, partName(id)))
	if err != nil || !part.ModTime().Before(before) {
		return false, ignoreMissing(err)
	}
	st, err := s.load(id)
	if !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	log, err := s.root.Lstat(filepath.Join(stateDir, logName(id)))
	switch {
	case st != nil && st.aborted, errors.Is(err, fs.ErrNotExist), err == nil && log.Size() == 0:
	default:
		return false, err
	}
	if err := s.unlink(id, st); err != nil {
		return false, err
	}
	return true, s.discard(id)
}
