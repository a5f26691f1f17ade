package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Options of a Store. The zero value is what an upload to a directory wants.
type Options struct {
	// SyncAcks makes every acknowledgement survive power loss: each Write ends
	// with an fsync.
	SyncAcks bool
	// ByID names finished files by upload id and keeps their metadata. Without
	// it they get the name they were created with, in directories made as
	// needed; a regular file of that name is replaced, and the store forgets
	// the upload.
	ByID bool
	// Logger gets what was repaired. Default: nothing is logged.
	Logger *slog.Logger
}

// A Store is a directory that holds uploads. Make one with [Open].
type Store struct {
	root      *os.Root
	dir       string // absolute, for Info.Location
	mem       *memory.Manager
	byID      bool
	syncAcks  bool
	boot      string // "" where the system has no boot id
	log       *slog.Logger
	fences    fences
	idle      idle
	doubts    doubts
	syncer    durable.Syncer // for uploads that finish at the same time
	disk      semaphore
	stateRoot atomic.Pointer[os.Root] // by id, once there is a directory of uploads under way
}

var _ store.Store = (*Store)(nil)

// Open returns the store in dir, which is made if it is missing. Transfer
// buffers come from mem, which is required. A nil opts means defaults.
func Open(dir string, mem *memory.Manager, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if mem == nil {
		return nil, fmt.Errorf("open store: %w: it needs a memory manager", store.ErrInvalid)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := durable.MkdirAll(absolute, 0o777); err != nil {
		return nil, fmt.Errorf("open store: %w", translate(err))
	}
	root, err := os.OpenRoot(absolute)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", translate(err))
	}
	s := &Store{
		root: root, dir: absolute, mem: mem,
		byID: opts.ByID, syncAcks: opts.SyncAcks,
		boot: bootID(), log: opts.Logger, disk: make(semaphore, diskPlaces),
	}
	if s.boot == "" {
		s.syncAcks = true
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s, nil
}

// Close gives the directory's descriptor back. Uploads of the store must not be
// used afterwards; those unfinished are found by the next Open.
func (s *Store) Close() error {
	err := errors.Join(s.idle.close(), s.root.Close())
	if state := s.stateRoot.Load(); state != nil {
		err = errors.Join(err, state.Close())
	}
	return err
}

// Limits implements [store.Store].
func (s *Store) Limits() store.Limits {
	// By name, nothing is left of a finished upload that its id could be taken by.
	return store.Limits{Unordered: true, ChosenIDs: s.byID, Verified: true}
}

// Create implements [store.Store]. By name, it refuses names that are not
// relative slash-separated paths within the directory, or that something other
// than a regular file has.
func (s *Store) Create(ctx context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	u, info, err := s.create(ctx, spec)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("create upload of %q: %w", spec.Name, err)
	}
	return u, info, nil
}

func (s *Store) create(ctx context.Context, spec store.Spec) (*Upload, store.Info, error) {
	st, log, err := s.beginning(spec)
	if err != nil {
		return nil, store.Info{}, translate(err)
	}
	id := cmp.Or(spec.ID, uploadid.New())
	info := s.info(id, st)
	u := &Upload{store: s, id: id, fence: s.fences.get(id)}
	if err := u.enter(ctx); err != nil {
		return nil, store.Info{}, err
	}
	defer u.leave()
	onNewStack(func() {
		var f *files
		if f, err = s.makeFiles(id, st, log); err == nil {
			err = u.fence.keep(f)
		}
	})
	if err != nil {
		return nil, store.Info{}, translate(err)
	}
	u.epoch = u.fence.epoch.Add(1)
	return u, info, nil
}

// beginning is what an upload begins as, and its log, if there can be one.
func (s *Store) beginning(spec store.Spec) (*state, []byte, error) {
	if spec.Length < store.UnknownLength || spec.UnitBytes < 0 {
		return nil, nil, fmt.Errorf("%w length %d or unit size %d", store.ErrInvalid, spec.Length, spec.UnitBytes)
	}
	switch {
	case spec.ID == "":
	case !s.byID:
		return nil, nil, fmt.Errorf("%w: uploads by name have no chosen id", store.ErrUnsupported)
	case !uploadid.Valid(spec.ID):
		return nil, nil, fmt.Errorf("%w id %.40q", store.ErrInvalid, spec.ID)
	}
	if !s.byID {
		if err := s.checkTarget(spec.Name, spec.NoReplace); err != nil {
			return nil, nil, err
		}
	}
	now := time.Now()
	st := &state{
		boot: s.boot, name: spec.Name, metadata: maps.Clone(spec.Metadata), created: now, modified: now,
		length: spec.Length, unit: spec.UnitBytes, noReplace: spec.NoReplace && !s.byID,
	}
	log := st.encode()
	if len(log) > maxRecordBytes {
		err := fmt.Errorf("%w: name and metadata take %d bytes", store.ErrInvalid, len(log))
		return nil, nil, &store.LimitError{Err: err, Limit: maxRecordBytes}
	}
	return st, log, nil
}

// makeFiles makes the files of an upload. It tries again where an upload that
// finished just now removed the empty directory.
func (s *Store) makeFiles(id string, st *state, log []byte) (*files, error) {
	for try := 1; ; try++ {
		f, err := s.tryMakeFiles(id, st, log)
		if !errors.Is(err, fs.ErrNotExist) || try == 10 {
			return f, err
		}
	}
}

// tryMakeFiles writes the log last: an upload exists when its log does. An id that
// was chosen may be taken; of a finished upload the log says so, beside which there
// must never be another part.
func (s *Store) tryMakeFiles(id string, st *state, log []byte) (*files, error) {
	dir, err := s.makeState()
	if err != nil {
		return nil, err
	}
	f := s.newFiles(id, dir)
	if _, err = dir.Lstat(logName(id)); err == nil {
		err = fs.ErrExist
	} else if errors.Is(err, fs.ErrNotExist) {
		f.part, err = dir.OpenFile(partName(id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
	}
	if errors.Is(err, fs.ErrExist) {
		err = store.ErrTaken
	}
	if err != nil {
		return nil, errors.Join(err, f.close())
	}
	if s.syncAcks {
		err = f.part.Sync() // the directory's sync is only for its name
	}
	if err == nil {
		f.log, err = durable.CreateFile(dir.Root, logName(id), log, s.syncAcks)
	}
	if errors.Is(err, fs.ErrExist) {
		err = store.ErrTaken // just now, by another process
	}
	if err != nil {
		return nil, errors.Join(err, remove(dir.Root, partName(id)), f.close())
	}
	f.state, f.logBytes = st, int64(len(log))
	return f, nil
}

// Open implements [store.Store].
func (s *Store) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	u := &Upload{store: s, id: id, fence: s.fences.get(id)}
	info, err := u.takeOver(ctx)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("open upload %s: %w", id, err)
	}
	return u, info, nil
}

// Stat implements [store.Store].
func (s *Store) Stat(ctx context.Context, id string) (store.Info, error) {
	st, err := s.look(ctx, id)
	if err != nil {
		return store.Info{}, fmt.Errorf("stat upload %s: %w", id, err)
	}
	return s.info(id, st), nil
}

func (s *Store) look(ctx context.Context, id string) (st *state, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.disk.acquire(ctx); err != nil {
		return nil, err
	}
	defer s.disk.release()
	onNewStack(func() { st, err = s.load(id) })
	return st, err
}

func (s *Store) info(id string, st *state) store.Info {
	info := st.info()
	info.ID = id
	switch {
	case info.Complete:
		info.Location = filepath.Join(s.dir, filepath.FromSlash(s.target(id, st)))
	case info.Offset == info.Length:
		info.Location = filepath.Join(s.dir, stateDir, partName(id))
	}
	return info
}

// target is where the finished object lies, relative to the root.
func (s *Store) target(id string, st *state) string {
	if s.byID {
		return id
	}
	return st.name
}
