package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/streamflow/streamflow/store"
)

var _ store.Concatenator = (*Store)(nil)

// pieceBytes are copied at once: after each one looks whether to go on.
const pieceBytes = 64 << 20

// Concatenate implements [store.Concatenator]. The kernel copies from file to
// file, and shares the blocks where the file system can and they are aligned.
func (s *Store) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Upload, store.Info, error) {
	u, info, err := s.concatenate(ctx, spec, ids)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("concatenate %d uploads: %w", len(ids), err)
	}
	return u, info, nil
}

func (s *Store) concatenate(ctx context.Context, spec store.Spec, ids []string) (*Upload, store.Info, error) {
	spec.Length = 0
	for _, id := range ids {
		n, _, err := s.loadWhole(id)
		if err != nil {
			return nil, store.Info{}, err
		}
		if n > math.MaxInt64-spec.Length {
			return nil, store.Info{}, fmt.Errorf("%w: the sum of the lengths", store.ErrTooLarge)
		}
		spec.Length += n
	}
	up, _, err := s.Create(ctx, spec)
	if err != nil {
		return nil, store.Info{}, err
	}
	u := up.(*Upload)
	err = u.change(ctx, func(f *files) error {
		for _, id := range ids {
			if err := f.append(ctx, s, id); err != nil {
				return fmt.Errorf("copy %s: %w", id, translate(err))
			}
		}
		return nil
	})
	info := store.Info{}
	if err == nil {
		info, err = u.Info(ctx)
	}
	if err != nil {
		return nil, store.Info{}, errors.Join(err, u.Abort(context.WithoutCancel(ctx)))
	}
	return u, info, nil
}

// loadWhole returns the length of an upload of which every byte is there.
func (s *Store) loadWhole(id string) (int64, *state, error) {
	st, err := s.load(id)
	if err != nil {
		return 0, nil, fmt.Errorf("upload %s: %w", id, err)
	}
	n, _ := st.written.prefix()
	if n != st.length {
		return 0, nil, fmt.Errorf("%w: %d of the %d bytes of %s are there", store.ErrIncomplete, n, st.length, id)
	}
	return n, st, nil
}

// append copies a whole upload behind what is there, and logs that with the sum
// the source has: it is read only if it has none.
func (f *files) append(ctx context.Context, s *Store, id string) error {
	source, st, err := s.openWhole(id)
	if err != nil {
		return err
	}
	defer source.Close()
	n, sum := st.written.prefix()
	if n == 0 {
		return nil
	}
	start := f.state.written.end()
	if err := copyFile(ctx, f.part, start, source, n); err != nil {
		return err
	}
	return f.add(record{verb: verbWritten, span: span{start: start, end: start + n, sum: sum}})
}

// copyFile copies the first n bytes of source to off in target. Between files
// as they are io.Copy leaves the work to the kernel.
func copyFile(ctx context.Context, target *os.File, off int64, source *os.File, n int64) error {
	if _, err := target.Seek(off, io.SeekStart); err != nil {
		return err
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		copied, err := io.CopyN(target, source, min(n, pieceBytes))
		if err != nil {
			return err
		}
		n -= copied
	}
	return nil
}
