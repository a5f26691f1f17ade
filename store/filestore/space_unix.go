//go:build !windows && !plan9

package filestore

import (
	"errors"
	"syscall"
)

// isNoSpace says whether err is a full disk, a quota, or a limit of the file
// system or process on the size of a file.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
