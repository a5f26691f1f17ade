package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

var _ store.Lister = (*Store)(nil)

// listed is how many names of a directory are held at once.
const listed = 256

// Unfinished implements [store.Lister]: what is under way has a part.
func (s *Store) Unfinished(ctx context.Context, _ time.Time) iter.Seq2[store.Info, error] {
	return s.list(ctx, partName(""), func(info store.Info) bool { return !info.Complete })
}

// Finished implements [store.Lister]: by id, what is finished has a log. By name
// the store forgets it.
func (s *Store) Finished(ctx context.Context, _ time.Time) iter.Seq2[store.Info, error] {
	return s.list(ctx, logName(""), func(info store.Info) bool { return info.Complete && s.isUntouched(info) })
}

// list yields the uploads that have a file of that suffix and are wanted.
func (s *Store) list(ctx context.Context, suffix string, wanted func(store.Info) bool) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for id, err := range s.ids(ctx, suffix) {
			if err != nil {
				yield(store.Info{}, fmt.Errorf("list uploads: %w", err))
				return
			}
			if !s.yieldListed(ctx, id, wanted, yield) {
				return
			}
		}
	}
}

// ids yields the ids that have a file of that suffix, and ends with an error.
func (s *Store) ids(ctx context.Context, suffix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		dir, err := s.root.Open(stateDir)
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		if err != nil {
			yield("", translate(err))
			return
		}
		defer dir.Close()
		for {
			names, err := dir.Readdirnames(listed)
			for _, name := range names {
				id, ok := strings.CutSuffix(name, suffix)
				if ok && uploadid.Valid(id) && !yield(id, nil) {
					return
				}
			}
			if err == nil {
				err = ctx.Err()
			}
			if err == io.EOF {
				return
			}
			if err != nil {
				yield("", err)
				return
			}
		}
	}
}

// yieldListed leaves out what was discarded or only begun when it was looked at.
func (s *Store) yieldListed(ctx context.Context, id string, wanted func(store.Info) bool, yield func(store.Info, error) bool) bool {
	info, err := s.Stat(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !wanted(info):
		return true
	case err != nil:
		return yield(store.Info{ID: id}, err)
	}
	return yield(info, nil)
}

// isUntouched says whether a finished file is still what the upload became. The
// log was last written after the file's last byte.
func (s *Store) isUntouched(info store.Info) bool {
	file, err := s.root.Lstat(info.ID)
	return err == nil && file.Mode().IsRegular() && file.Size() == info.Length && !file.ModTime().After(info.ModifiedAt)
}
