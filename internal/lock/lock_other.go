//go:build !unix

package lock

import (
	"errors"
	"io/fs"
	"os"
)

// A Lock is a file that exists while it is held. One that a dead process left
// has to be removed by hand.
type Lock struct {
	root *os.Root
	name string
}

// Acquire makes the file name in root. What another one has is a *[HeldError].
func Acquire(root *os.Root, name string) (*Lock, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, &HeldError{}
	}
	if err != nil {
		return nil, err
	}
	return &Lock{root, name}, f.Close()
}

// Release removes the file.
func (l *Lock) Release() error { return l.root.Remove(l.name) }
