package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

var _ store.Finder = (*Store)(nil)

// Find implements [store.Finder], by name only. It reads the file for its sum.
func (s *Store) Find(ctx context.Context, name string, length int64) (store.Info, error) {
	info, err := s.find(ctx, name, length)
	if err != nil {
		return store.Info{}, fmt.Errorf("find %q: %w", name, err)
	}
	return info, nil
}

func (s *Store) find(ctx context.Context, name string, length int64) (store.Info, error) {
	if s.byID {
		return store.Info{}, store.ErrUnsupported
	}
	if err := checkName(name); err != nil {
		return store.Info{}, err
	}
	f, err := s.openRegular(filepath.FromSlash(name), 0)
	if err != nil {
		return store.Info{}, err
	}
	defer f.Close()
	file, err := f.Stat()
	if err != nil {
		return store.Info{}, translate(err)
	}
	info := store.Info{
		Name: name, Length: file.Size(), Offset: file.Size(), Complete: true,
		ModifiedAt: file.ModTime(), Location: filepath.Join(s.dir, filepath.FromSlash(name)),
	}
	if file.Size() == length {
		info.Sum, err = s.sumOf(ctx, f)
	}
	return info, err
}

// sumOf reads r to its end.
func (s *Store) sumOf(ctx context.Context, r io.Reader) (store.Sum, error) {
	b, err := s.mem.Acquire(ctx, memory.KindTransfer, minBufferBytes)
	if err != nil {
		return store.Sum{}, err
	}
	sum := store.Sum{Known: true}
	for err == nil {
		if err = ctx.Err(); err != nil {
			break
		}
		var n int
		n, err = r.Read(b.Bytes())
		sum.CRC32C = checksum.Update(sum.CRC32C, b.Bytes()[:n])
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return sum, errors.Join(err, b.Release())
}
