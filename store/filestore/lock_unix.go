//go:build unix && !solaris && !aix

package filestore

import (
	"errors"
	"os"
	"syscall"

	"github.com/streamflow/streamflow/store"
)

// lockFile takes the lock of f, which lasts until f is closed, also by a kill.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return store.Transient(errors.New("another process is writing it"))
	}
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}

// unlockFile gives the lock back.
func unlockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	if errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}
