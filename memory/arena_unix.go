//go:build unix && !race

package memory

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// offHeap: slots lie in address ranges of their own, outside the Go heap.
const offHeap = true

var pageBytes = os.Getpagesize()

// reserve takes address space that can't be accessed and costs nothing.
func reserve(n int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		forbidHugePages(mem)
	}
	return mem, err
}

func unreserve(mem []byte) error { return unix.Munmap(mem) }

// unprotect makes reserved memory accessible, protect inaccessible.
func unprotect(mem []byte) error { return unix.Mprotect(mem, unix.PROT_READ|unix.PROT_WRITE) }

func protect(mem []byte) error { return unix.Mprotect(mem, unix.PROT_NONE) }

// owns reports whether mem lies in one of the arena's regions.
func (a *arena) owns(mem []byte) bool {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	for _, region := range a.regions {
		start := uintptr(unsafe.Pointer(unsafe.SliceData(region)))
		if p >= start && p < start+uintptr(len(region)) {
			return true
		}
	}
	return false
}
