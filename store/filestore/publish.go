package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/streamflow/streamflow/store"
)

// publish gives a sealed upload its final name. Bytes, log and name survive power loss
// then.
//
// A small upload waits for its syncs longer than for all the rest, so by id it gets by
// with one: the part is linked to its final name, all is synced at once, and the old
// name is removed. Until then the upload counts as unfinished. The removal isn't synced:
// where a power loss leaves both names, recall tells from the sum which side of the sync
// it came.
func (u *Upload) publish(f *files) error {
	s := u.store
	if f.state.isSmall() && s.byID && s.boot != "" && s.link(u.id, f.state) {
		if err := f.sync(stateDir, "."); err != nil {
			return errors.Join(err, remove(s.root, s.target(u.id, f.state)))
		}
		return f.dir.Remove(partName(u.id))
	}
	if err := f.sync(); err != nil {
		return err
	}
	if err := s.move(u.id, f.state); err != nil {
		return err
	}
	return s.syncName(f.state)
}

// link gives the part its final name beside its own, if that is possible and no other
// file has it.
func (s *Store) link(id string, st *state) bool {
	err := s.root.Link(filepath.Join(stateDir, partName(id)), s.target(id, st))
	return err == nil || errors.Is(err, fs.ErrExist) && s.isLinked(id, st)
}

// isLinked says whether the part has its final name, too.
func (s *Store) isLinked(id string, st *state) bool {
	target, err := s.root.Lstat(filepath.FromSlash(s.target(id, st)))
	return err == nil && s.isPart(filepath.Join(stateDir, partName(id)), target)
}

// isStray says whether an upload that was finishing is finished, and the part another
// one: an empty one, as a Create that found the id taken has left where it was cut off.
func (s *Store) isStray(id string, st *state, part fs.FileInfo) bool {
	if !s.byID || part.Size() > 0 {
		return false
	}
	file, err := s.root.Lstat(s.target(id, st))
	return err == nil && file.Mode().IsRegular() && file.Size() == st.length && !os.SameFile(file, part)
}

// unlink takes back what a publish that was cut off has done, if it has done anything.
func (s *Store) unlink(id string, st *state) error {
	if !s.byID || !s.isLinked(id, st) {
		return nil
	}
	return s.root.Remove(s.target(id, st))
}

// move gives the part its final name.
func (s *Store) move(id string, st *state) error {
	target := filepath.FromSlash(s.target(id, st))
	if dir := filepath.Dir(target); dir != "." {
		if err := s.root.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	part := filepath.Join(stateDir, partName(id))
	if !st.noReplace {
		return s.root.Rename(part, target)
	}
	return s.moveTo(part, target)
}

// moveTo is a rename that replaces nothing. Where it is cut off between the two
// steps both names are of one file, and the next Finish removes the old one.
func (s *Store) moveTo(part, target string) error {
	err := s.root.Link(part, target)
	switch there, statErr := s.root.Lstat(target); {
	case err == nil:
	case errors.Is(statErr, fs.ErrNotExist) && (errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission)):
		// A file system without links, as FAT: a look just before is all there is.
		return s.root.Rename(part, target)
	case statErr == nil && !s.isPart(part, there):
		return fmt.Errorf("name is taken: %w", store.ErrExists)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	return s.root.Remove(part)
}

func (s *Store) isPart(part string, file fs.FileInfo) bool {
	info, err := s.root.Lstat(part)
	return err == nil && os.SameFile(info, file)
}

// syncName makes the final name survive power loss.
func (s *Store) syncName(st *state) error {
	if s.byID { // the log stays
		return s.syncer.Sync(s.root, []string{stateDir, "."})
	}
	for dir := path.Dir(st.name); ; dir = path.Dir(dir) {
		if err := s.syncer.Sync(s.root, []string{filepath.FromSlash(dir)}); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}
