//go:build unix

package lock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// A Lock is a locked file beside what it protects. The system drops it when the
// process dies.
type Lock struct {
	root *os.Root
	name string
	f    *os.File
}

// Acquire locks the file name in root, which it makes if it is missing. It
// doesn't wait: what another one has is a *[HeldError].
func Acquire(root *os.Root, name string) (*Lock, error) {
	for {
		f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if same(f, root, name) {
			sign(f)
			return &Lock{root, name, f}, nil
		}
		// The previous holder removed the file between our open and our lock.
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func flock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return err
	}
	pid, err := io.ReadAll(io.LimitReader(f, 20))
	if err != nil {
		return err
	}
	return &HeldError{Process: strings.TrimSpace(string(pid))}
}

func same(f *os.File, root *os.Root, name string) bool {
	locked, err1 := f.Stat()
	there, err2 := root.Stat(name)
	return err1 == nil && err2 == nil && os.SameFile(locked, there)
}

// sign leaves our process id for whoever finds the file locked, as far as it can:
// the lock holds without, also on a full disk.
func sign(f *os.File) {
	if f.Truncate(0) == nil { // no other's id is left
		_, _ = fmt.Fprintln(f, os.Getpid())
	}
}

// Release unlocks and removes the file.
func (l *Lock) Release() error {
	// Removed before it is unlocked: nobody else can have it here.
	err := l.root.Remove(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // somebody tidied up
	}
	return errors.Join(err, l.f.Close())
}
