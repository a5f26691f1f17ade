package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/streamflow/streamflow/store"
)

var _ store.Lister = (*Store)(nil)

// listed is how many names of a directory are held at once.
const listed = 256

// Unfinished implements [store.Lister]: what is under way has a part.
func (s *Store) Unfinished(ctx context.Context) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		dir, err := s.root.Open(stateDir)
		if errors.Is(err, os.ErrNotExist) {
			return
		}
		if err != nil {
			yield(store.Info{}, fmt.Errorf("list uploads: %w", translate(err)))
			return
		}
		defer dir.Close()
		for {
			names, err := dir.Readdirnames(listed)
			for _, name := range names {
				id, isPart := strings.CutSuffix(name, partName(""))
				if isPart && validID(id) && !s.yieldUnfinished(ctx, id, yield) {
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
				yield(store.Info{}, fmt.Errorf("list uploads: %w", err))
				return
			}
		}
	}
}

// yieldUnfinished leaves out what was finished, discarded or only begun when it
// was looked at.
func (s *Store) yieldUnfinished(ctx context.Context, id string, yield func(store.Info, error) bool) bool {
	info, err := s.Stat(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), info.Complete:
		return true
	case err != nil:
		return yield(store.Info{ID: id}, err)
	}
	return yield(info, nil)
}
