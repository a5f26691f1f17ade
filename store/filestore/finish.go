package filestore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// Finish implements [store.Upload]. Its steps may be cut off after any of them;
// the next Finish goes on there.
func (u *Upload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	if done := u.done.Load(); done != nil {
		return *done, verify(sum, done.Sum)
	}
	if err := u.begin(ctx); err != nil {
		return store.Info{}, fmt.Errorf("finish upload %s: %w", u.id, err)
	}
	defer u.leave()
	var info store.Info
	var err error
	onNewStack(func() { info, err = u.finish(ctx, sum) })
	if err != nil {
		return store.Info{}, fmt.Errorf("finish upload %s: %w", u.id, err)
	}
	return info, nil
}

// finish needs the turn.
func (u *Upload) finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	f, err := u.attach()
	if err != nil {
		return store.Info{}, err
	}
	st := f.state
	switch err = u.seal(ctx, f, sum); {
	case err != nil:
	case st.moved:
		err = u.store.syncName(st)
	default:
		err = u.publish(f)
	}
	if err != nil {
		return store.Info{}, errors.Join(translate(err), u.detach(f))
	}
	st.moved, st.modified = true, time.Now()
	info := u.store.info(u.id, st)
	err = u.fence.drop()
	if !u.store.byID { // the store forgets the upload
		err = errors.Join(err, u.store.discard(u.id))
	}
	if err != nil {
		return store.Info{}, translate(err)
	}
	if !u.store.byID {
		u.done.Store(&info)
	}
	return info, nil
}

// seal checks that the upload is whole and right, and notes that.
func (u *Upload) seal(ctx context.Context, f *files, sum store.Sum) error {
	st := f.state
	if st.length == store.UnknownLength {
		return fmt.Errorf("%w: its length is not known", store.ErrIncomplete)
	}
	present, have := st.written.prefix()
	if present != st.length {
		return fmt.Errorf("%w: %d of %d bytes are there", store.ErrIncomplete, present, st.length)
	}
	if !have.Known {
		var err error
		if have, err = u.sum(ctx, f); err != nil {
			return err
		}
	}
	if err := verify(sum, have); err != nil || st.moved {
		return err
	}
	if !u.store.byID {
		// Something may have come into the way since Create.
		// But where noReplace keeps it out, move finds that.
		if err := u.store.checkTarget(st.name, false); err != nil {
			return err
		}
	}
	if err := f.cutPart(); err != nil {
		return err
	}
	return f.add(record{verb: verbFinishing, span: span{sum: have}})
}

func verify(want, have store.Sum) error {
	if want.Known && have.Known && want.CRC32C != have.CRC32C {
		return fmt.Errorf("%w: %08x was sent, %08x is stored", store.ErrChecksum, want.CRC32C, have.CRC32C)
	}
	return nil
}

// sum returns the sum of the whole, reading what was rewritten in part. It takes no
// memory from the budget: who has that may be waiting for our place at the disk.
func (u *Upload) sum(ctx context.Context, f *files) (store.Sum, error) {
	var buffer [4 << 10]byte
	total := store.Sum{Known: true}
	for _, s := range f.state.written {
		if s.sum.Known {
			total = join(total, s)
			continue
		}
		for off := s.start; off < s.end; {
			if err := ctx.Err(); err != nil {
				return store.Sum{}, err
			}
			p := buffer[:min(s.end-off, int64(len(buffer)))]
			if _, err := f.part.ReadAt(p, off); err != nil {
				return store.Sum{}, err
			}
			total.CRC32C = checksum.Update(total.CRC32C, p)
			off += int64(len(p))
		}
	}
	return total, nil
}
