// Package durable makes changes to files that hold after a crash: a file is
// replaced whole or not at all, and directories are synced so that a new name
// survives a power loss.
//
// Its functions keep no state and are safe for concurrent use on different names.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"syscall"
)

// TempSuffix ends the name under which WriteFile builds a file up. One with it
// is left over from a crash, and the next WriteFile of that name replaces it.
const TempSuffix = ".tmp"

// WriteFile replaces the file name in root by data, atomically: at any moment,
// also after a kill, the old content is there or the new one. With sync the
// new content survives a power loss once WriteFile has returned; without, a
// power loss may leave either. New files get mode 0600.
func WriteFile(root *os.Root, name string, data []byte, sync bool) error {
	temp := name + TempSuffix
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = errors.Join(write(f, data, sync), f.Close())
	}
	if err == nil {
		err = root.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(root.Remove(temp)))
	}
	if !sync {
		return nil
	}
	return SyncDir(root, path.Dir(filepath.ToSlash(name)))
}

// CreateFile makes the file name in root, with data, and returns it open for
// reading and for more at its end. It fails with fs.ErrExist where there is one, and
// leaves none behind after an error; a kill may leave one with less than data. sync
// and the mode are as for WriteFile.
func CreateFile(root *os.Root, name string, data []byte, sync bool) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = write(f, data, sync)
	if err == nil && sync {
		err = SyncDir(root, path.Dir(filepath.ToSlash(name)))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), ignoreMissing(root.Remove(name)))
	}
	return f, nil
}

func write(f *os.File, data []byte, sync bool) error {
	_, err := f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	return err
}

// SyncFiles makes the content of files survive a power loss. All are on their way to
// the disk before the first is waited for.
func SyncFiles(files ...*os.File) error { return errors.Join(syncFiles(files)...) }

func syncFiles(files []*os.File) []error {
	for _, f := range files {
		startWriteback(f)
	}
	errs := make([]error, len(files))
	for i, f := range files {
		errs[i] = f.Sync()
	}
	return errs
}

// SyncDir makes the entries of a directory in root survive a power loss; "."
// is root itself. Where the system can't sync directories it does nothing.
func SyncDir(root *os.Root, name string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return syncDir(d, name)
}

// syncDir syncs a directory and closes it.
func syncDir(d *os.File, name string) error {
	err := d.Sync()
	// Some file systems, FUSE ones among them, have nothing to sync there.
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", name, err)
	}
	return nil
}

// MkdirAll is [os.MkdirAll], and the directories that it makes survive a power loss.
func MkdirAll(dir string, perm os.FileMode) error {
	parent := filepath.Dir(dir)
	if _, err := os.Stat(dir); parent == dir || runtime.GOOS == "windows" || !errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, perm)
	}
	if err := MkdirAll(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return syncDir(d, parent)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
