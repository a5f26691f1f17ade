//go:build unix && !linux && !race

package memory

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func forbidHugePages([]byte) {}

// decommit gives the pages back to the system by mapping fresh ones over them:
// outside Linux, madvise may leave them in place until memory is short.
func decommit(mem []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(mem)), uintptr(len(mem)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_FIXED)
	return err
}
