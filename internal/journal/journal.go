// Package journal remembers unfinished uploads of files across the death of the
// process: where each one is at its destination, and the checksum of what was
// read so far. The truth about what has arrived stays at the destination.
//
// An upload is one small file in the journal's directory, named by a hash of
// the source's path, the object's name and the destination, replaced atomically,
// and locked as long as a process has it. A file that can't be read is as good as
// none.
//
// A Journal is safe for concurrent use, an Entry by one goroutine at a time.
package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/internal/lock"
)

// ErrBusy says that another process, or another upload of this one, has the
// entry.
var ErrBusy = errors.New("this upload is already under way")

// A Journal is a directory of entries.
type Journal struct{ root *os.Root }

// Open opens the journal in dir, and makes the directory where it is missing.
func Open(dir string) (*Journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	return &Journal{root: root}, nil
}

// Close closes the directory. Close the entries first.
func (j *Journal) Close() error { return j.root.Close() }

// An Entry is one upload's place in the journal, held by this process until
// Close.
type Entry struct {
	root *os.Root
	name string     // in root
	lock *lock.Lock // nil after Close
	key  Key
}

// Take locks the entry of an upload, whether or not there is a record of it. An
// error that is [ErrBusy] names the process that has it.
func (j *Journal) Take(key Key) (*Entry, error) {
	name := key.entryName()
	l, err := lock.Acquire(j.root, name+".lock")
	if held := (*lock.HeldError)(nil); errors.As(err, &held) {
		err = fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the journal entry of %s: %w", key.Path, err)
	}
	return &Entry{root: j.root, name: name, lock: l, key: key}, nil
}

// Has reports whether there is a record of it, or one that can't be looked for.
func (j *Journal) Has(key Key) bool {
	_, err := j.root.Stat(key.entryName())
	return !errors.Is(err, fs.ErrNotExist)
}

// listed is how many names of the directory are held at once.
const listed = 256

// Records yields the records of uploads to destination, in no order. One that
// can't be read is left out: it is as good as none. An error ends the walk.
func (j *Journal) Records(destination string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		dir, err := j.root.Open(".")
		if err != nil {
			yield(Record{}, fmt.Errorf("list journal: %w", err))
			return
		}
		defer dir.Close()
		for {
			names, err := dir.Readdirnames(listed)
			for _, name := range names {
				if r, ok := j.record(name, destination); ok && !yield(r, nil) {
					return
				}
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("list journal: %w", err))
				return
			}
		}
	}
}

func (j *Journal) record(name, destination string) (Record, bool) {
	if !strings.HasSuffix(name, extension) {
		return Record{}, false
	}
	data, err := j.root.ReadFile(name)
	if err != nil {
		return Record{}, false
	}
	r, err := decode(data)
	return r, err == nil && r.Destination == destination && name == r.Key().entryName()
}

// Load returns the record, and false where there is none. An error means that
// there is one which can't be read: begin anew, the next Save replaces it.
func (e *Entry) Load() (Record, bool, error) {
	data, err := e.root.ReadFile(e.name)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, false, nil
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("read journal: %w", err)
	}
	r, err := decode(data)
	if err == nil && r.Key() != e.key {
		err = errors.New("it is of another upload")
	}
	if err != nil {
		return Record{}, false, fmt.Errorf("read journal %s: %w", e.name, err)
	}
	return r, true, nil
}

// Save replaces the record. Version, object and destination are filled in. It
// survives the death of the process; a power loss may cost the record, no more.
func (e *Entry) Save(r Record) error {
	r.Version, r.Object, r.Destination = version, e.key.Object, e.key.Destination
	data, err := r.encode()
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := durable.WriteFile(e.root, e.name, data, false); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// Remove forgets the record. The entry stays locked.
func (e *Entry) Remove() error {
	for _, name := range []string{e.name, e.name + durable.TempSuffix} {
		if err := e.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove journal entry: %w", err)
		}
	}
	return nil
}

// Close unlocks the entry. It may be called again.
func (e *Entry) Close() error {
	if e.lock == nil {
		return nil
	}
	err := e.lock.Release()
	e.lock = nil
	if err != nil {
		return fmt.Errorf("unlock journal entry: %w", err)
	}
	return nil
}
