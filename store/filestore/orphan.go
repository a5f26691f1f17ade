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
// and leave the part, a crash may come before the end of Abort, and somebody may have
// taken a finished file away, which leaves its log.
func (s *Store) RemoveOrphans(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	var errs []error
	for _, suffix := range []string{partName(""), logName("")} {
		for id, err := range s.ids(ctx, suffix) {
			gone := false
			if err == nil {
				gone, err = s.removeOrphan(ctx, id, suffix, before)
			}
			if gone {
				removed++
			}
			if err != nil {
				errs = append(errs, err)
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return removed, fmt.Errorf("remove orphans: %w", err)
	}
	return removed, nil
}

// removeOrphan removes an upload that nobody can find any more, if its file of that
// suffix is old enough.
func (s *Store) removeOrphan(ctx context.Context, id, suffix string, before time.Time) (bool, error) {
	if _, err := s.root.Lstat(id); s.byID && err == nil && suffix == logName("") {
		return false, nil // as most are: a log with its file
	}
	file, err := s.root.Lstat(filepath.Join(stateDir, id+suffix))
	if err != nil || !file.ModTime().Before(before) {
		return false, ignoreMissing(err)
	}
	u := &Upload{store: s, id: id, fence: s.fences.get(id)}
	if err := u.enter(ctx); err != nil {
		return false, err
	}
	defer u.leave()
	st, err := s.load(id)
	if !errors.Is(err, store.ErrNotFound) {
		return false, err
	}
	if orphan, err := s.isOrphan(id, st, before); !orphan {
		return false, err
	}
	if err := s.unlink(id, st); err != nil {
		return false, err
	}
	return true, s.discard(id)
}

// isOrphan says whether an upload that wasn't found is none. A log that is damaged says
// as little as one that is missing, but somebody may be able to mend it; and one that
// has changed just now is of an upload that another process has finished meanwhile.
func (s *Store) isOrphan(id string, st *state, before time.Time) (bool, error) {
	log, err := s.root.Lstat(filepath.Join(stateDir, logName(id)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case log.Size() == 0:
		return true, nil
	}
	return st != nil && log.ModTime().Before(before), nil
}
