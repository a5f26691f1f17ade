package filestore

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

// A state is what a log says about an upload.
type state struct {
	boot      string
	name      string
	metadata  map[string]string
	created   time.Time
	modified  time.Time // not logged: it is the log's own
	length    int64
	unit      int64
	written   spans
	safe      spans // those of written that survive power loss
	noReplace bool
	finishing bool
	// moved: the part is gone because it has become the finished file.
	moved bool
}

// smallBytes is up to which length an upload is synced together with others, which
// wait until its bytes are written, and read again where a reboot cut off its end.
const smallBytes = 1 << 20

func (st *state) isSmall() bool { return 0 <= st.length && st.length <= smallBytes }

// hasAll says whether every byte is there.
func (st *state) hasAll() bool {
	n, _ := st.written.prefix()
	return n == st.length
}

func (st *state) apply(r record) {
	switch r.verb {
	case verbUpload:
		*st = state{
			boot: r.boot, name: r.name, metadata: r.metadata,
			created: r.created, length: r.length, unit: r.unit,
		}
	case verbNoReplace:
		st.noReplace = true
	case verbLength:
		st.length = r.length
	case verbWritten:
		st.written = st.written.add(r.span)
		st.finishing = false
	case verbRewrite:
		st.written.forget(r.span)
		st.safe.forget(r.span)
		st.finishing = false
	case verbSynced:
		st.safe = slices.Clone(st.written)
	case verbFinishing:
		st.finishing = true
		st.written = nil
		if st.length > 0 {
			st.written = spans{{end: st.length, sum: r.span.sum}}
		}
	}
}

// records is the shortest log that says the same.
func (st *state) records() []record {
	out := []record{{
		verb: verbUpload, boot: st.boot, created: st.created, length: st.length,
		unit: st.unit, name: st.name, metadata: st.metadata,
	}}
	if st.noReplace {
		out = append(out, record{verb: verbNoReplace})
	}
	for _, s := range st.safe {
		out = append(out, record{verb: verbWritten, span: s})
	}
	if len(st.safe) > 0 {
		out = append(out, record{verb: verbSynced})
	}
	if !slices.Equal(st.safe, st.written) {
		for _, s := range st.written {
			out = append(out, record{verb: verbWritten, span: s})
		}
	}
	if st.finishing {
		_, sum := st.written.prefix()
		out = append(out, record{verb: verbFinishing, span: span{sum: sum}})
	}
	return out
}

// encode is the shortest log.
func (st *state) encode() []byte {
	var log []byte
	for _, r := range st.records() {
		log = append(log, r.encode()...)
	}
	return log
}

func (st *state) info() store.Info {
	info := store.Info{
		Name: st.name, Length: st.length, UnitBytes: st.unit,
		Metadata: maps.Clone(st.metadata), CreatedAt: st.created, ModifiedAt: st.modified, Complete: st.moved,
	}
	info.Offset, info.Sum = st.written.prefix()
	if ranges := st.written.ranges(); info.Offset < st.written.end() {
		info.Written = ranges
	}
	return info
}

// readLog reads a log up to its first torn or wrong record, and returns how
// many bytes hold. A log without a first record is [store.ErrNotFound].
func readLog(r io.Reader) (st *state, valid int64, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 512), maxRecordBytes+1)
	lines.Split(wholeLines)
	st = &state{}
	for lines.Scan() {
		rec, err := parseRecord(lines.Bytes())
		if err != nil || (valid == 0) != (rec.verb == verbUpload) {
			break
		}
		st.apply(rec)
		valid += int64(len(lines.Bytes())) + 1
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, 0, err
	}
	if valid == 0 {
		return nil, 0, fmt.Errorf("its log has no beginning: %w", store.ErrNotFound)
	}
	return st, valid, nil
}

// wholeLines is a bufio.SplitFunc that leaves out a last line without an end.
func wholeLines(data []byte, _ bool) (int, []byte, error) {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		return 0, nil, nil
	}
	return i + 1, data[:i], nil
}

// load reads an upload's state. It changes nothing, but where a part is left beside the
// finished file.
func (s *Store) load(id string) (*state, error) {
	if !uploadid.Valid(id) {
		return nil, store.ErrNotFound
	}
	dir, err := s.openState()
	if err != nil {
		return nil, missing(err)
	}
	defer dir.Close()
	log, err := dir.Open(logName(id))
	if err != nil {
		return nil, missing(err)
	}
	defer log.Close()
	st, _, err := s.confirm(dir.Root, id, log)
	return st, err
}

// confirm reads a log and holds it against the files and the boot. It returns
// how many bytes of the log hold.
func (s *Store) confirm(dir *os.Root, id string, log *os.File) (*state, int64, error) {
	st, valid, err := readLog(log)
	if err != nil {
		return nil, 0, err
	}
	file, err := log.Stat()
	if err != nil {
		return nil, 0, err
	}
	st.modified = file.ModTime()
	if safe, ok := s.doubts.get(id); ok {
		st.written, st.safe, st.finishing = slices.Clone(safe), safe, false
	}
	part, err := dir.Lstat(partName(id))
	if err == nil && st.finishing && s.isStray(id, st, part) {
		err = cmp.Or(dir.Remove(partName(id)), fs.ErrNotExist)
	}
	if err == nil && (s.boot == "" || st.boot != s.boot) {
		part, err = s.recall(id, st)
	}
	if errors.Is(err, fs.ErrNotExist) && st.finishing {
		st.moved = true
		if _, err = s.root.Lstat(filepath.FromSlash(s.target(id, st))); err != nil {
			err = fmt.Errorf("the finished file: %w", missing(err))
		}
		return st, valid, err
	}
	if err != nil {
		return st, valid, fmt.Errorf("its bytes: %w", missing(err))
	}
	st.written, st.safe = st.written.clip(part.Size()), st.safe.clip(part.Size())
	return st, valid, nil
}

// recall leaves of a state what has outlasted the boot it is of: what is known to be
// safe, or all of a small upload whose end was cut off, if its sum is right still. If
// that has its final name, it ends what publish began. It returns what the part is then.
func (s *Store) recall(id string, st *state) (fs.FileInfo, error) {
	part := filepath.Join(stateDir, partName(id))
	whole := false
	if st.finishing && st.isSmall() && s.boot != "" {
		var err error
		if whole, err = s.isWhole(part, st); err != nil {
			return nil, err
		}
	}
	if !whole {
		st.written = slices.Clone(st.safe)
		return s.root.Lstat(part)
	}
	st.safe = slices.Clone(st.written)
	if s.byID && s.isLinked(id, st) {
		if err := remove(s.root, part); err != nil {
			return nil, err
		}
	}
	return s.root.Lstat(part)
}

// isWhole says whether the part of an upload that was finishing is what it was.
func (s *Store) isWhole(part string, st *state) (bool, error) {
	f, err := s.openRegular(part, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	file, err := f.Stat()
	if err != nil || file.Size() != st.length {
		return false, err
	}
	var buf [4 << 10]byte
	have, err := readSum(context.Background(), f, buf[:]) // of a small file: at once
	_, want := st.written.prefix()
	return err == nil && have == want, err
}

// missing makes a file that isn't there an upload that isn't.
func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", store.ErrNotFound, err)
	}
	return translate(err)
}

// remove removes a file that may be gone already.
func remove(dir *os.Root, name string) error { return ignoreMissing(dir.Remove(name)) }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
