package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

// keptBytes is up to which size of its log an upload keeps its files between two
// changes: what they say is in memory then, which nobody has reserved.
const keptBytes = 1 << 10

// files are an upload's files, open for writing and locked against other
// processes. They are used by whoever has the upload's turn. In between other
// processes may have them: they are let go once no Write is under way, and closed,
// which is to rest, when there are too many.
type files struct {
	store     *Store
	id        string
	dir       stateRoot
	part      *os.File // carries the lock: unlike the log it is never replaced
	log       *os.File
	state     *state
	logBytes  int64
	compactAt int64
	torn      bool        // the log has half a record after logBytes
	released  fs.FileInfo // the log when the files were last released or closed
	resting   bool
	failed    error // of closing them
	unsure    bool  // a sync has failed: they are of no use any more
}

func (s *Store) newFiles(id string, dir stateRoot) *files {
	return &files{store: s, id: id, dir: dir, compactAt: compactBytes}
}

// openFiles opens the files of an upload under way for changes.
func (s *Store) openFiles(id string) (*files, error) {
	f, err := s.lockFiles(id)
	if err != nil {
		return nil, err
	}
	if err := f.renew(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// lockFiles opens them as they are, which takes no room on the disk.
func (s *Store) lockFiles(id string) (*files, error) {
	if !uploadid.Valid(id) {
		return nil, store.ErrNotFound
	}
	dir, err := s.openState()
	if err != nil {
		return nil, missing(err)
	}
	f := s.newFiles(id, dir)
	if err := f.open(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *files) open() error {
	var err error
	// Without the part the upload is finished or broken; the log knows.
	if f.part, err = f.dir.OpenFile(partName(f.id), os.O_RDWR, 0); err != nil && !errors.Is(err, os.ErrNotExist) {
		return translate(err)
	}
	if f.part != nil {
		if _, err := f.lock(); err != nil {
			return err
		}
	}
	// After the lock: until then another process may replace it.
	if f.log, err = f.openLog(); err != nil {
		return missing(err)
	}
	if f.state, f.logBytes, err = f.store.confirm(f.dir.Root, f.id, f.log); err != nil {
		return err
	}
	if f.part == nil && !f.state.moved {
		return store.Transient(errors.New("the upload's files changed while they were opened"))
	}
	return nil
}

// renew has the log say what holds now, and in a way that more can be added.
func (f *files) renew() error {
	if err := f.cut(); err != nil || f.state.moved {
		return err
	}
	if f.state.finishing {
		if err := f.store.unlink(f.id, f.state); err != nil {
			return err
		}
	}
	lost := f.state.finishing && !f.state.hasAll()
	if f.state.boot == f.store.boot && !lost && !f.store.doubts.has(f.id) {
		return nil
	}
	// From here on the log speaks of this boot: drop what the old one didn't
	// sync before anything is added, and a finishing that would vouch for it.
	f.state.boot = f.store.boot
	f.state.finishing = f.state.finishing && !lost
	return f.compact()
}

// lock keeps other processes out until the part is closed, and says what it is now.
func (f *files) lock() (fs.FileInfo, error) {
	if err := lockFile(f.part); err != nil {
		return nil, fmt.Errorf("lock the upload: %w", err)
	}
	locked, err := f.part.Stat()
	if err != nil {
		return nil, err
	}
	named, err := f.dir.Lstat(partName(f.id))
	if err != nil || !os.SameFile(locked, named) {
		return nil, store.Transient(errors.New("another process finished or discarded it just now"))
	}
	return named, nil
}

// release lets other processes have the files, which stay open.
func (f *files) release() error {
	var err error
	if f.released, err = f.log.Stat(); err != nil {
		return err
	}
	return unlockFile(f.part)
}

// resume locks files that were released, and says whether they can be used: they
// have their names, and no other process has changed them.
func (f *files) resume() bool {
	part, err := f.lock()
	return err == nil && f.holds(part)
}

// unchanged says whether released files say what they said.
func (f *files) unchanged() bool {
	part, err := f.dir.Lstat(partName(f.id))
	return err == nil && f.holds(part)
}

// holds says whether the state does beside that part. The log tells of all that other
// processes do.
func (f *files) holds(part fs.FileInfo) bool {
	return part.Size() >= f.state.written.end() && f.sameLog()
}

func (f *files) sameLog() bool {
	now, err := f.dir.Lstat(logName(f.id))
	return err == nil && os.SameFile(now, f.released) && now.Size() == f.released.Size() && now.ModTime().Equal(f.released.ModTime())
}

// rest closes the files until wake.
func (f *files) rest() {
	if f.resting || f.part == nil {
		return
	}
	info, err := f.log.Stat()
	if err != nil {
		return
	}
	f.released, f.resting, f.failed = info, true, f.close()
}

// wake opens the files again after rest, if nobody has changed them.
func (f *files) wake() error {
	if !f.resting {
		return nil
	}
	if f.failed != nil {
		return translate(f.failed)
	}
	var err error
	onNewStack(func() { err = f.reopen() })
	if err != nil {
		return errors.Join(err, f.close())
	}
	f.resting = false
	return nil
}

func (f *files) reopen() error {
	var err error
	if f.dir, err = f.store.openState(); err != nil {
		return missing(err)
	}
	if f.part, err = f.dir.OpenFile(partName(f.id), os.O_RDWR, 0); err != nil {
		return missing(err)
	}
	if _, err := f.lock(); err != nil {
		return err
	}
	if f.log, err = f.openLog(); err != nil {
		return missing(err)
	}
	if !f.sameLog() {
		return fmt.Errorf("another process has written to it: %w", store.ErrSuperseded)
	}
	return nil
}

func (f *files) close() error {
	var errs []error
	for _, file := range []*os.File{f.part, f.log} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	if errors.Join(errs...) != nil && f.state != nil && !f.state.moved {
		// A network file system may say only now that it lost what was written.
		f.store.doubts.put(f.id, f.state.safe)
	}
	if f.dir.Root != nil {
		errs = append(errs, f.dir.Close())
	}
	f.part, f.log, f.dir = nil, nil, stateRoot{}
	return errors.Join(errs...)
}
