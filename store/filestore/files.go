package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

// compactBytes is the size from which a log is written anew, shorter.
const compactBytes = 8 << 10

// keptBytes is up to which size of its log an upload keeps its files between two
// changes: what they say is in memory then, which nobody has reserved.
const keptBytes = 1 << 10

// files are an upload's files, open for writing and locked against other
// processes. They are used by whoever has the upload's turn. In between other
// processes may have them: they are let go once no Write is under way, and closed,
// which is to rest, when there are too many.
type files struct {
	id        string
	dir       stateRoot
	part      *os.File // carries the lock: unlike the log it is never replaced
	log       *os.File
	state     *state
	logBytes  int64
	compactAt int64
	torn      bool // the log has half a record after logBytes
	logger    *slog.Logger
	released  fs.FileInfo // the log when the files were last released or closed
	resting   bool
	failed    error // of closing them
}

func (s *Store) newFiles(id string, dir stateRoot) *files {
	return &files{id: id, dir: dir, logger: s.log, compactAt: compactBytes}
}

// openFiles opens the files of an upload under way.
func (s *Store) openFiles(id string) (*files, error) {
	if !uploadid.Valid(id) {
		return nil, store.ErrNotFound
	}
	dir, err := s.openState()
	if err != nil {
		return nil, missing(err)
	}
	f := s.newFiles(id, dir)
	if err := f.open(s); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *files) open(s *Store) error {
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
	if f.state, f.logBytes, err = s.confirm(f.dir.Root, f.id, f.log); err != nil {
		return err
	}
	if err := f.cut(); err != nil {
		return err
	}
	if f.part == nil && !f.state.moved {
		return store.Transient(errors.New("the upload's files changed while they were opened"))
	}
	if f.state.moved {
		return nil
	}
	if f.state.finishing {
		if err := s.unlink(f.id, f.state); err != nil {
			return err
		}
	}
	lost := f.state.finishing && !f.state.hasAll()
	if f.state.boot == s.boot && !lost {
		return nil
	}
	// From here on the log speaks of this boot: drop what the old one didn't
	// sync before anything is added, and a finishing that would vouch for it.
	f.state.boot = s.boot
	f.state.finishing = f.state.finishing && !lost
	return f.compact()
}

func (f *files) openLog() (*os.File, error) {
	return f.dir.OpenFile(logName(f.id), os.O_RDWR|os.O_APPEND, 0)
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

// cut drops what a crash or a full disk left after the last whole record.
func (f *files) cut() error {
	info, err := f.log.Stat()
	if err != nil {
		return err
	}
	if info.Size() == f.logBytes {
		return nil
	}
	f.logger.Warn("cut a torn record off the log of an upload",
		"upload", f.id, "bytes", info.Size()-f.logBytes)
	return f.log.Truncate(f.logBytes)
}

// cutPart drops what a Write that died may have left after the end.
func (f *files) cutPart() error {
	info, err := f.part.Stat()
	if err != nil || info.Size() == f.state.length {
		return err
	}
	return f.part.Truncate(f.state.length)
}

// add appends a record to the log and applies it. After an error the log is as
// before.
func (f *files) add(r record) error {
	if f.torn {
		if err := f.log.Truncate(f.logBytes); err != nil {
			return err
		}
		f.torn = false
	}
	line := r.encode()
	if n, err := f.log.Write(line); err != nil {
		f.torn = n > 0 && f.log.Truncate(f.logBytes) != nil
		return err
	}
	f.logBytes += int64(len(line))
	f.state.apply(r)
	if f.logBytes < f.compactAt {
		return nil
	}
	if err := f.compact(); err != nil {
		// The long log is as good; only its size is a pity.
		f.compactAt = 2 * f.logBytes
		f.logger.Warn("could not shorten the log of an upload", "upload", f.id, "error", err)
	}
	return nil
}

// announce tells the log that bytes in n are about to be replaced, if there are
// any: a crash in the middle must not leave a sum that isn't theirs.
func (f *files) announce(n span) error {
	if !f.state.written.summed(n) {
		return nil
	}
	safe := f.state.safe.summed(n)
	if err := f.add(record{verb: verbRewrite, span: n}); err != nil || !safe {
		return err
	}
	return f.log.Sync()
}

// compact replaces the log by the shortest that says the same.
func (f *files) compact() error {
	f.state.written = f.state.written.merge(len(f.state.written) - recentSpans)
	f.state.safe = f.state.safe.merge(len(f.state.safe) - recentSpans)
	data := f.state.encode()
	// What was promised to survive power loss must do so in the new log too.
	if err := durable.WriteFile(f.dir.Root, logName(f.id), data, len(f.state.safe) > 0); err != nil {
		return err
	}
	// The old log has lost its name: nothing more may be added to it, also where
	// the new one can't be opened.
	closed := f.log.Close()
	opened, err := f.openLog()
	f.log = opened
	if err := errors.Join(closed, err); err != nil {
		return err
	}
	f.logBytes = int64(len(data))
	f.compactAt = max(compactBytes, 2*f.logBytes)
	return nil
}

// syncPart makes the bytes survive power loss.
func (f *files) syncPart() error { return f.synced(f.part.Sync()) }

// sync makes bytes and log survive power loss, and after them the entries of
// directories in the root; those of a small upload together with others.
func (f *files) sync(s *Store, dirs ...string) error {
	var err error
	if f.state.isSmall() {
		err = s.syncer.Sync(s.root, dirs, f.part, f.log)
	} else {
		err = durable.SyncFiles(f.part, f.log)
	}
	if err = f.synced(err); err == nil {
		f.state.safe = slices.Clone(f.state.written)
	}
	return err
}

// synced takes what a sync returned. One that fails may have dropped the bytes it
// was for, and the next one wouldn't say so: what isn't known to be safe then
// counts as missing.
func (f *files) synced(err error) error {
	if err == nil {
		return nil
	}
	f.state.written = slices.Clone(f.state.safe)
	f.state.finishing = false
	return errors.Join(err, f.compact())
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
func (f *files) wake(s *Store) error {
	if !f.resting {
		return nil
	}
	if f.failed != nil {
		return translate(f.failed)
	}
	var err error
	onNewStack(func() { err = f.reopen(s) })
	if err != nil {
		return errors.Join(err, f.close())
	}
	f.resting = false
	return nil
}

func (f *files) reopen(s *Store) error {
	var err error
	if f.dir, err = s.openState(); err != nil {
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
	if f.dir.Root != nil {
		errs = append(errs, f.dir.Close())
	}
	f.part, f.log, f.dir = nil, nil, stateRoot{}
	return errors.Join(errs...)
}
