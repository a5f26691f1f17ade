package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/streamflow/streamflow/store"
)

// translate adds the error that callers branch on to one of the system.
func translate(err error) error {
	switch {
	case err == nil:
		return nil
	case isNoSpace(err):
		return fmt.Errorf("%w: %w", store.ErrNoSpace, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", store.ErrDenied, err)
	case outOfDescriptors(err):
		return store.Transient(err) // they come back
	}
	return err
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
