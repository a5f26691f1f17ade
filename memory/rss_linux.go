package memory

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// forbidHugeHeapPages keeps the kernel from backing the Go heap with huge
// pages, which commit memory that the runtime had given back. A kernel that
// refuses has none.
func forbidHugeHeapPages() { _ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) }

// codeBytes is how much of the program's file and of other mapped files is
// resident: proc(5), "shared" of statm.
func codeBytes() int64 {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return unknownProgram
	}
	fields := bytes.Fields(data)
	if len(fields) < 3 {
		return unknownProgram
	}
	pages, err := strconv.ParseInt(string(fields[2]), 10, 64)
	if err != nil {
		return unknownProgram
	}
	return pages * int64(os.Getpagesize())
}

// residentBytes returns the resident set of this process, now and at its peak:
// proc(5), VmRSS and VmHWM of status.
func residentBytes() (now, peak int64) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	return statusField(data, "VmRSS:"), statusField(data, "VmHWM:")
}

func statusField(data []byte, name string) int64 {
	_, rest, found := bytes.Cut(data, []byte(name))
	if !found {
		return 0
	}
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
