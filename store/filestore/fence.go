package filestore

import (
	"container/list"
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/streamflow/streamflow/store"
)

// A fence is what all Uploads of one id in this process share.
//
// The turn is a token for one change to the upload's files: a pwrite of at most
// one buffer, a record, a sync, a rename. It is a channel and not a mutex as
// the change is I/O: whoever waits gives up with its context. It is never held
// during a Read of a source, which may take for ever, so a Write that hangs
// there doesn't hold up its successor. Parallel units lose nothing by it: they
// are read and summed in parallel, and file systems take the writes of one file
// one at a time anyway.
//
// A takeover takes the turn and moves the epoch on. So no write of an older
// epoch is under way when it returns, and none begins afterwards.
//
// Who has the turn may have to queue for the disk, and uploads that do are many.
// So there is a second token, for as long as the files are used: between two
// changes anybody may take it and close them.
type fence struct {
	turn  chan struct{}
	inUse chan struct{}
	epoch atomic.Uint64 // changed with the turn only

	// With both:
	files  *files // there while users > 0, and maybe after that
	users  int    // of the files, in this epoch; while there are none, the files are released
	writes []*transfer

	place *list.Element // in the store's idle, whose mutex guards it
}

func (f *fence) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case f.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fence) give() { <-f.turn }

// open says whether there are files that are open.
func (f *fence) open() bool { return f.files != nil && !f.files.resting }

// keep leaves files that nobody uses any more open for the next change, which is
// likely to come at once, if they are small enough.
func (f *fence) keep(files *files) error {
	f.files = files
	if files.part == nil || files.logBytes > keptBytes || files.torn || files.unsure {
		return f.drop()
	}
	if err := files.release(); err != nil {
		return errors.Join(err, f.drop())
	}
	return nil
}

// kept returns what the files that keep has left open say, if that is so still.
func (f *fence) kept() (*state, bool) {
	if f.files == nil || f.users > 0 || f.files.resting || !f.files.unchanged() {
		return nil, false
	}
	f.files.state.modified = f.files.released.ModTime()
	return f.files.state, true
}

// reuse locks files that keep has left open, or drops them if they are of no use.
func (f *fence) reuse() error {
	if f.files == nil || f.users > 0 || !f.files.resting && f.files.resume() {
		return nil
	}
	failed := f.files.failed
	return errors.Join(failed, f.drop())
}

// rest closes the files until the next change, unless one is under way.
func (f *fence) rest() {
	select {
	case f.inUse <- struct{}{}:
	default:
		return
	}
	if f.files != nil {
		f.files.rest()
	}
	<-f.inUse
}

// drop closes the files under the hands of their users, who find that out at
// their next turn.
func (f *fence) drop() error {
	f.users, f.writes = 0, nil
	if f.files == nil {
		return nil
	}
	files := f.files
	f.files = nil
	return files.close()
}

// check says whether epoch is the newest. Only with the turn does the answer
// last.
func (f *fence) check(epoch uint64) error {
	if f.epoch.Load() != epoch {
		return store.ErrSuperseded
	}
	return nil
}

// fences finds the fence of an id as long as an Upload of it is in use. An
// Upload is never closed, so the garbage collector says when that ends.
type fences struct {
	mu   sync.Mutex
	byID map[string]weak.Pointer[fence]
}

func (fs *fences) get(id string) *fence {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byID[id].Value(); f != nil {
		return f
	}
	f := &fence{turn: make(chan struct{}, 1), inUse: make(chan struct{}, 1)}
	if fs.byID == nil {
		fs.byID = make(map[string]weak.Pointer[fence])
	}
	fs.byID[id] = weak.Make(f)
	runtime.AddCleanup(f, fs.forget, id)
	return f
}

func (fs *fences) forget(id string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byID[id].Value() == nil {
		delete(fs.byID, id)
	}
}
