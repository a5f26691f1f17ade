package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"github.com/streamflow/streamflow/store"
)

// A memStore keeps objects in memory, so that time can be synctest's, and each
// call can be made to fail or wait. It reads a Write in pieces of readBytes.
type memStore struct {
	limits    store.Limits
	readBytes int
	// before is called at the start of each call of an upload and may fail it.
	before func(ctx context.Context, call string) error

	mu      sync.Mutex
	uploads map[string]*memUpload
	created int
	specs   []store.Spec // that Create was given
	writes  []int64      // sizes as asked for
}

type memUpload struct {
	s    *memStore
	info store.Info
	data []byte
	gone bool
}

func newMemStore(unordered bool) *memStore {
	return &memStore{
		limits: store.Limits{Unordered: unordered}, readBytes: 32 << 10,
		before:  func(context.Context, string) error { return nil },
		uploads: map[string]*memUpload{},
	}
}

func (s *memStore) Limits() store.Limits { return s.limits }

func (s *memStore) Create(ctx context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	if err := s.before(ctx, "Create"); err != nil {
		return nil, store.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created++
	spec.Head = bytes.Clone(spec.Head) // of a buffer that goes
	s.specs = append(s.specs, spec)
	id := fmt.Sprintf("upload-%d", s.created)
	u := &memUpload{s: s, info: store.Info{
		ID: id, Name: spec.Name, Length: spec.Length, UnitBytes: spec.UnitBytes, Metadata: spec.Metadata,
		Location: "mem:" + spec.Name,
	}}
	s.uploads[id] = u
	return u, u.info, nil
}

func (s *memStore) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	if err := s.before(ctx, "Open"); err != nil {
		return nil, store.Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.uploads[id]; u != nil {
		return u, u.known(), nil
	}
	return nil, store.Info{}, store.ErrNotFound
}

func (s *memStore) Stat(ctx context.Context, id string) (store.Info, error) {
	_, info, err := s.Open(ctx, id)
	return info, err
}

// object returns the content of the finished upload of that name.
func (s *memStore) object(name string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.uploads {
		if u.info.Name == name && u.info.Complete {
			return u.data, true
		}
	}
	return nil, false
}

func (s *memStore) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// lose forgets all uploads, as a server that was set up anew does.
func (s *memStore) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, u := range s.uploads {
		u.gone = true
		delete(s.uploads, id)
	}
}

func (u *memUpload) begin(ctx context.Context, call string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := u.s.before(ctx, call); err != nil {
		return err
	}
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.gone {
		return store.ErrNotFound
	}
	return nil
}

func (u *memUpload) Info(ctx context.Context) (store.Info, error) {
	if err := u.begin(ctx, "Info"); err != nil {
		return store.Info{}, err
	}
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	return u.known(), nil
}

// known needs the lock of the store.
func (u *memUpload) known() store.Info {
	info := u.info
	info.Written = slices.Clone(info.Written)
	return info
}

func (u *memUpload) SetLength(ctx context.Context, n int64) error {
	if err := u.begin(ctx, "SetLength"); err != nil {
		return err
	}
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.info.Length != store.UnknownLength && u.info.Length != n {
		return store.ErrInvalid
	}
	u.info.Length = n
	return nil
}

func (u *memUpload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	u.s.mu.Lock()
	u.s.writes = append(u.s.writes, size)
	expected := u.info.Offset
	u.s.mu.Unlock()
	if !u.s.limits.Unordered && off != expected {
		return 0, &store.OffsetError{Expected: expected, Provided: off}
	}
	if err := u.begin(ctx, "Write"); err != nil {
		return 0, err
	}
	var unit bytes.Buffer
	p := make([]byte, u.s.readBytes)
	for int64(unit.Len()) < size {
		n, err := r.Read(p)
		unit.Write(p[:n])
		if err == nil {
			err = u.begin(ctx, "Read")
		}
		if !u.s.limits.Unordered {
			u.put(off+int64(unit.Len()-n), p[:n])
		}
		if err != nil {
			if u.s.limits.Unordered {
				return 0, fmt.Errorf("write: %w", err)
			}
			return int64(unit.Len()), fmt.Errorf("write: %w", err)
		}
	}
	if u.s.limits.Unordered {
		u.put(off, unit.Bytes())
	}
	return size, nil
}

func (u *memUpload) put(off int64, p []byte) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	end := off + int64(len(p))
	if int64(len(u.data)) < end {
		u.data = append(u.data, make([]byte, end-int64(len(u.data)))...)
	}
	copy(u.data[off:], p)
	if !u.s.limits.Unordered {
		u.info.Offset = end
		return
	}
	u.info.Written = merge(append(u.info.Written, store.Range{Start: off, End: end}))
	if u.info.Written[0].Start == 0 {
		u.info.Offset = u.info.Written[0].End
	}
}

func merge(ranges []store.Range) []store.Range {
	slices.SortFunc(ranges, func(a, b store.Range) int { return int(a.Start - b.Start) })
	out := ranges[:1]
	for _, r := range ranges[1:] {
		if last := &out[len(out)-1]; r.Start <= last.End {
			last.End = max(last.End, r.End)
		} else {
			out = append(out, r)
		}
	}
	return out
}

func (u *memUpload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	if err := u.begin(ctx, "Finish"); err != nil {
		return store.Info{}, err
	}
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.info.Length != u.info.Offset || len(u.info.Written) > 1 {
		return store.Info{}, store.ErrIncomplete
	}
	if sum.Known && sum.CRC32C != crcOf(u.data) {
		return store.Info{}, store.ErrChecksum
	}
	u.info.Complete = true
	return u.info, nil
}

func (u *memUpload) Abort(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := u.s.before(ctx, "Abort"); err != nil {
		return err
	}
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	u.gone = true
	delete(u.s.uploads, u.info.ID)
	return nil
}

func crcOf(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

var errBroken = errors.New("broken on purpose")
