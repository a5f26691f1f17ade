//go:build !linux

package memory

func forbidHugeHeapPages() {}

// codeBytes is what was set aside, where the system can't be asked.
func codeBytes() int64 { return codeShare }

func residentBytes() (now, peak int64) { return 0, 0 }
