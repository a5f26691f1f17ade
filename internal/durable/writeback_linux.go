package durable

import (
	"os"
	"syscall"
)

// syncFileRangeWrite is SYNC_FILE_RANGE_WRITE of linux/fs.h.
const syncFileRangeWrite = 2

// startWriteback has the system begin to write what it holds of a file, without
// waiting for that. It promises nothing: what follows is a sync.
func startWriteback(f *os.File) {
	_ = syscall.SyncFileRange(int(f.Fd()), 0, 0, syncFileRangeWrite)
}
