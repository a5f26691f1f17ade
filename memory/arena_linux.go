//go:build linux && !race

package memory

import "golang.org/x/sys/unix"

// forbidHugePages keeps the kernel from committing 2 MiB where one page was
// touched. Kernels without huge pages refuse, and don't need it.
func forbidHugePages(mem []byte) { _ = unix.Madvise(mem, unix.MADV_NOHUGEPAGE) }

// decommit gives the pages back to the system. They read as zeros afterwards.
func decommit(mem []byte) error { return unix.Madvise(mem, unix.MADV_DONTNEED) }
