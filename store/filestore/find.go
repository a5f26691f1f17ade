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
	sum, err := readSum(ctx, r, b.Bytes())
	return sum, errors.Join(err, b.Release())
}

// readSum is sumOf through p.
func readSum(ctx context.Context, r io.Reader, p []byte) (store.Sum, error) {
	sum := store.Sum{Known: true}
	for {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		n, err := r.Read(p)
		sum.CRC32C = checksum.Update(sum.CRC32C, p[:n])
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return sum, err
		}
	}
}
