//go:build !linux

package memory

func forbidHugeHeapPages() {}

func programBytes() int64 { return unknownProgram }

func releaseProgram() {}

// codeBytes is what a program may take, where the system can't be asked.
func codeBytes() int64 { return unknownProgram }

func residentBytes() (now, peak int64) { return 0, 0 }
