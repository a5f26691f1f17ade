package streamflow

import (
	"context"
	"errors"

	"github.com/streamflow/streamflow/store"
)

// identical reports whether what a file would become is there already. The
// file is read once for that, but only where name and length are the same.
func (u *Upload) identical(ctx context.Context) (bool, error) {
	if !u.m.opts.SkipIdentical || u.src.file == nil || u.dest != nil || u.previous != nil {
		return false, nil
	}
	size := u.src.Size()
	there, err := u.m.dst.(store.Finder).Find(ctx, u.src.name, size)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if there.Length != size || !there.Sum.Known {
		return false, nil
	}
	sum, err := u.reread(ctx, 0, size, 0)
	if err != nil || sum != there.Sum.CRC32C {
		return false, err
	}
	u.skipped = true
	u.counters.bytes.Store(size)
	u.finished = there
	return true, u.src.check()
}
