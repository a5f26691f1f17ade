package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/streamflow/streamflow/store"
)

var _ store.Reader = (*Store)(nil)

// OpenReader implements [store.Reader]. That of a finished upload is its file,
// an *os.File, which the kernel can send by itself. By name the store has
// forgotten it.
func (s *Store) OpenReader(ctx context.Context, id string) (io.ReadSeekCloser, store.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, store.Info{}, fmt.Errorf("read upload %s: %w", id, err)
	}
	file, st, err := s.openWhole(id)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("read upload %s: %w", id, err)
	}
	if st.moved {
		return file, s.info(id, st), nil
	}
	// A Write that died may have left bytes after the end.
	return section{io.NewSectionReader(file, 0, st.length), file}, s.info(id, st), nil
}

// A section is the beginning of a file.
type section struct {
	*io.SectionReader
	io.Closer
}

// openWhole opens the file of an upload of which every byte is there.
func (s *Store) openWhole(id string) (*os.File, *state, error) {
	for try := 1; ; try++ {
		n, st, err := s.loadWhole(id)
		if err != nil {
			return nil, nil, err
		}
		name := filepath.Join(stateDir, partName(id))
		if st.moved {
			name = filepath.FromSlash(s.target(id, st))
		}
		file, err := s.openRegular(name, n)
		if !errors.Is(err, store.ErrNotFound) || st.moved || try == 2 {
			return file, st, err
		}
		// Finished between the two: it has moved.
	}
}

// openRegular opens a file of at least so many bytes for reading, and nothing
// that has taken its place: a link may lead to another upload.
func (s *Store) openRegular(name string, bytes int64) (*os.File, error) {
	// Looked at before it is opened, as opening a pipe may wait.
	named, err := s.root.Lstat(name)
	if err != nil {
		return nil, missing(err)
	}
	if !named.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: its file was replaced by something that is none", store.ErrNotFound)
	}
	file, err := s.root.Open(name)
	if err != nil {
		return nil, missing(err)
	}
	opened, err := file.Stat()
	switch {
	case err != nil:
	case !os.SameFile(named, opened):
		err = store.Transient(errors.New("its file was replaced just now"))
	case opened.Size() < bytes:
		err = fmt.Errorf("%w: its file has %d of %d bytes", store.ErrIncomplete, opened.Size(), bytes)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}
