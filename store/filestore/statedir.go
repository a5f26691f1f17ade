package filestore

import (
	"errors"
	"io/fs"
	"os"

	"github.com/streamflow/streamflow/internal/durable"
)

// A stateRoot is the directory of the uploads under way. By id it stays open as
// long as the store: every request asks for it several times. By name it goes
// with the last upload, so each use opens it.
type stateRoot struct {
	*os.Root
	kept bool
}

func (r stateRoot) Close() error {
	if r.kept {
		return nil
	}
	return r.Root.Close()
}

// openState opens the directory of the uploads under way, if there is one.
func (s *Store) openState() (stateRoot, error) {
	if kept := s.stateRoot.Load(); kept != nil {
		return stateRoot{kept, true}, nil
	}
	root, err := s.root.OpenRoot(stateDir)
	if err != nil {
		return stateRoot{}, err
	}
	if !s.byID {
		return stateRoot{root, false}, nil
	}
	if !s.stateRoot.CompareAndSwap(nil, root) {
		return stateRoot{s.stateRoot.Load(), true}, root.Close()
	}
	return stateRoot{root, true}, nil
}

// makeState does so where it may be missing.
func (s *Store) makeState() (stateRoot, error) {
	dir, err := s.openState()
	if !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	if err := s.root.Mkdir(stateDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return stateRoot{}, err
	}
	if s.syncAcks {
		if err := durable.SyncDir(s.root, "."); err != nil {
			return stateRoot{}, errors.Join(err, remove(s.root, stateDir))
		}
	}
	return s.openState()
}
