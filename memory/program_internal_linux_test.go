package memory

import (
	"os"
	"testing"
	"unsafe"
)

// ownMemory is the address space of this process: proc(5), mem. What is written there is
// written as by a debugger, also where it is read-only.
func ownMemory(t *testing.T) *os.File {
	t.Helper()
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mem.Close() })
	return mem
}

func TestReleaseProgram(t *testing.T) {
	own, err := programMappings("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	mem := ownMemory(t)
	for _, m := range own {
		if _, err := mem.ReadAt(make([]byte, m.end-m.start), int64(m.start)); err != nil {
			t.Fatal(err)
		}
	}
	before := codeBytes()
	releaseProgram()
	if after := codeBytes(); after >= before {
		t.Errorf("of %d bytes %d stay resident", before, after)
	}
}

// What a debugger or the loader has changed in the program's pages isn't in its file.
func TestReleaseProgramKeepsChanges(t *testing.T) {
	text := "to be changed where it lies"
	mem, at := ownMemory(t), int64(uintptr(unsafe.Pointer(unsafe.StringData(text))))
	if _, err := mem.WriteAt([]byte("T"), at); err != nil {
		t.Fatal(err)
	}
	releaseProgram()
	first := make([]byte, 1)
	if _, err := mem.ReadAt(first, at); err != nil || string(first) != "T" {
		t.Errorf("the text begins with %q: %v", first, err)
	}
}
