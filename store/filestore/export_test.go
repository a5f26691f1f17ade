package filestore

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// OpenInBoot is Open as if the machine had been started as boot.
func OpenInBoot(boot, dir string, mem *memory.Manager, opts *Options) (*Store, error) {
	s, err := Open(dir, mem, opts)
	if err == nil {
		s.boot = boot
	}
	return s, err
}

// FinishSteps does the first steps of Finish, as if a crash came then.
func FinishSteps(ctx context.Context, upload store.Upload, steps int) error {
	u := upload.(*Upload)
	return u.change(ctx, func(f *files) error {
		err := errors.Join(u.seal(ctx, f, store.Sum{}), f.sync())
		if err == nil && steps > 1 {
			err = u.store.move(u.id, f.state)
		}
		return err
	})
}

// LinkOnly does of Finish what comes before its sync, for a small upload by id, as if a
// crash came then.
func LinkOnly(ctx context.Context, upload store.Upload) error {
	u := upload.(*Upload)
	return u.change(ctx, func(f *files) error {
		err := u.seal(ctx, f, store.Sum{})
		if err == nil && !u.store.link(u.id, f.state) {
			err = errors.New("no link")
		}
		return err
	})
}

// Ways in which a disk says that it has lost bytes.

// FailSync syncs an upload's bytes through a file that can't be synced.
func FailSync(ctx context.Context, upload store.Upload) error {
	return upload.(*Upload).change(ctx, func(f *files) error {
		f.part.Close()
		return f.synced(f.part.Sync())
	})
}

// FailFinish is Finish with bytes that can't be synced.
func FailFinish(ctx context.Context, upload store.Upload) error {
	u := upload.(*Upload)
	return u.change(ctx, func(f *files) error {
		if err := errors.Join(u.seal(ctx, f, store.Sum{}), f.breakPart()); err != nil {
			return err
		}
		return u.publish(f)
	})
}

// FailClose has an upload's file fail when it is closed.
func FailClose(ctx context.Context, upload store.Upload) error {
	return upload.(*Upload).change(ctx, func(f *files) error { return f.part.Close() })
}

// BreakPart has the bytes of an upload that is written to go nowhere, and their next
// sync fail.
func BreakPart(ctx context.Context, upload store.Upload) error {
	u := upload.(*Upload)
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.leave()
	return u.fence.files.breakPart()
}

func (f *files) breakPart() error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err == nil {
		err, f.part = f.part.Close(), null
	}
	return err
}

// BreakLog has the records of an upload that is written to go nowhere, and the next
// sync of its log fail.
func BreakLog(ctx context.Context, upload store.Upload) error {
	u := upload.(*Upload)
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.leave()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err == nil {
		f := u.fence.files
		err, f.log = f.log.Close(), null
	}
	return err
}

// ReadLog reads a log, and writes what it says as a new one.
func ReadLog(r io.Reader) (info store.Info, valid int64, again []byte, err error) {
	st, valid, err := readLog(r)
	if err != nil {
		return store.Info{}, 0, nil, err
	}
	for _, r := range st.records() {
		again = append(again, r.encode()...)
	}
	return st.info(), valid, again, nil
}

// SlowDisk leaves one place at the disk, until it is undone.
func SlowDisk(s *Store) (undo func()) {
	for range cap(s.disk) - 1 {
		s.disk <- struct{}{}
	}
	return func() {
		for range cap(s.disk) - 1 {
			<-s.disk
		}
	}
}
