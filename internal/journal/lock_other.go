//go:build !unix

package journal

import (
	"errors"
	"io/fs"
	"os"
)

// A lock is a file that exists while it is held. One that a dead process left
// has to be removed by hand.
type lock struct {
	root *os.Root
	name string
}

func acquire(root *os.Root, name string) (*lock, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, err
	}
	return &lock{root, name}, f.Close()
}

func (l *lock) release() error { return l.root.Remove(l.name) }
