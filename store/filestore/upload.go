package filestore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/store"
)

// An Upload is an object on its way into a [Store].
type Upload struct {
	store *Store
	id    string
	fence *fence
	epoch uint64
	// done is set by Finish where the store then forgets the upload.
	done atomic.Pointer[store.Info]
}

var (
	_ store.Upload   = (*Upload)(nil)
	_ store.Verifier = (*Upload)(nil)
)

// takeOver begins a new epoch, which is u's, and returns what it begins with:
// all that the Writes it ends have put into the file. It does nothing where the
// upload can't be read.
func (u *Upload) takeOver(ctx context.Context) (info store.Info, err error) {
	if err := u.enter(ctx); err != nil {
		return store.Info{}, err
	}
	defer u.leave()
	onNewStack(func() {
		for _, t := range u.fence.writes {
			if err := t.log(); err != nil {
				u.store.log.Warn("what an ended request had sent is lost", "upload", u.id, "error", err)
			}
		}
		st, kept := u.fence.kept()
		if !kept {
			if st, err = u.store.load(u.id); err != nil {
				return
			}
			err = u.fence.drop()
		}
		u.epoch = u.fence.epoch.Add(1)
		info = u.store.info(u.id, st)
	})
	return info, err
}

// begin takes the upload's turn, unless a newer request took the upload over.
// It is given back by leave.
func (u *Upload) begin(ctx context.Context) error {
	if err := u.enter(ctx); err != nil {
		return err
	}
	if err := u.fence.check(u.epoch); err != nil {
		u.leave()
		return err
	}
	return nil
}

// enter takes the upload's turn, and then a place at the disk: whoever has a
// place never waits for a turn.
func (u *Upload) enter(ctx context.Context) error {
	if err := u.fence.take(ctx); err != nil {
		return err
	}
	if err := u.store.disk.acquire(ctx); err != nil {
		u.fence.give()
		return err
	}
	u.fence.inUse <- struct{}{}
	return nil
}

// leave gives all back. Files that stay open are counted before anybody else has
// the disk, so there are never more than idle and disk allow.
func (u *Upload) leave() {
	open := u.fence.open()
	<-u.fence.inUse
	if open {
		u.store.idle.put(u.fence)
	} else {
		u.store.idle.remove(u.fence)
	}
	u.store.disk.release()
	u.fence.give()
}

// attach keeps the files until detach. Both need the turn.
func (u *Upload) attach() (*files, error) {
	if err := u.fence.reuse(); err != nil {
		return nil, translate(err)
	}
	if u.fence.files == nil {
		f, err := u.store.openFiles(u.id)
		if err != nil {
			return nil, err
		}
		u.fence.files = f
	}
	if err := u.fence.files.wake(); err != nil {
		return nil, err
	}
	u.fence.users++
	return u.fence.files, nil
}

// detach ends what attach began, unless the files were dropped meanwhile.
func (u *Upload) detach(f *files) error {
	if u.fence.files != f {
		return nil
	}
	if u.fence.users--; u.fence.users > 0 && !f.unsure {
		return nil
	}
	return u.fence.keep(f)
}

// change runs fn with the turn and the files.
func (u *Upload) change(ctx context.Context, fn func(*files) error) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.leave()
	var err error
	onNewStack(func() {
		var f *files
		if f, err = u.attach(); err == nil {
			err = errors.Join(fn(f), u.detach(f))
		}
	})
	return err
}

// Info implements [store.Upload].
func (u *Upload) Info(ctx context.Context) (store.Info, error) {
	if done := u.done.Load(); done != nil {
		return *done, ctx.Err()
	}
	if info, ok := u.kept(); ok {
		return info, ctx.Err()
	}
	return u.store.Stat(ctx, u.id)
}

// kept is Info by files that were left open, unless they are in use.
func (u *Upload) kept() (info store.Info, ok bool) {
	select {
	case u.fence.inUse <- struct{}{}:
	default:
		return store.Info{}, false
	}
	st, ok := u.fence.kept()
	if ok {
		info = u.store.info(u.id, st)
	}
	<-u.fence.inUse
	return info, ok
}

// SetLength implements [store.Upload].
func (u *Upload) SetLength(ctx context.Context, length int64) error {
	err := u.change(ctx, func(f *files) error {
		switch {
		case f.state.length == length && length >= 0:
			return nil
		case f.state.length != store.UnknownLength:
			return fmt.Errorf("%w: it is %d already", store.ErrInvalid, f.state.length)
		case length < f.state.written.end():
			return fmt.Errorf("%w: %d bytes are written", store.ErrInvalid, f.state.written.end())
		}
		if err := f.add(record{verb: verbLength, length: length}); err != nil {
			return translate(err)
		}
		if !u.store.syncAcks {
			return nil
		}
		return translate(f.synced(f.log.Sync()))
	})
	if err != nil {
		return fmt.Errorf("set length of upload %s to %d: %w", u.id, length, err)
	}
	return nil
}

// Abort implements [store.Upload]. By id it removes a finished file too; by
// name a finished file is the user's, and stays.
func (u *Upload) Abort(ctx context.Context) error {
	if err := u.abort(ctx); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("abort upload %s: %w", u.id, err)
	}
	return nil
}

func (u *Upload) abort(ctx context.Context) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.leave()
	// Of bytes that are discarded nobody needs to know how closing them ends.
	_ = u.fence.drop()
	f, err := u.store.lockFiles(u.id)
	if errors.Is(err, store.ErrNotFound) {
		return u.store.discard(u.id)
	}
	if err != nil {
		return err
	}
	if u.store.byID && f.state.moved {
		err = remove(u.store.root, u.store.target(u.id, f.state))
	} else {
		err = u.store.unlink(u.id, f.state)
	}
	if err == nil {
		err = u.store.discard(u.id)
	}
	_ = f.close()
	u.store.doubts.remove(u.id)
	return translate(err)
}

// discard removes an upload's files, and the directory if that was all in it. The log
// goes first, as there is no upload without: a crash then leaves bytes that belong to
// nobody, and never a log that takes another file for the one that it became.
func (s *Store) discard(id string) error {
	for _, name := range []string{logName(id), logName(id) + durable.TempSuffix, partName(id)} {
		if err := remove(s.root, filepath.Join(stateDir, name)); err != nil {
			return translate(err)
		}
	}
	if !s.byID {
		// It fails where there are other uploads.
		_ = s.root.Remove(stateDir)
	}
	return nil
}
