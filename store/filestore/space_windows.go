package filestore

import (
	"errors"
	"syscall"
)

// The system's codes for a full disk: ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL.
const (
	errHandleDiskFull syscall.Errno = 39
	errDiskFull       syscall.Errno = 112
)

// isNoSpace says whether err is a full disk.
func isNoSpace(err error) bool {
	return errors.Is(err, errHandleDiskFull) || errors.Is(err, errDiskFull)
}
