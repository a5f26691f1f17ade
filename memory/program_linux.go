package memory

import (
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mapping is a part of the address space that is mapped from a file.
type mapping struct {
	start, end uintptr
	writable   bool
	file       string // device and inode
	changed    bool   // it has pages that aren't the file's any more
}

// programBytes is how much of the program's own file is mapped. Any of it may become
// resident.
func programBytes() (sum int64) {
	own, err := programMappings("/proc/self/maps")
	if err != nil {
		return unknownProgram
	}
	for _, m := range own {
		sum += int64(m.end - m.start)
	}
	return sum
}

// releaseProgram lets go of the program's pages. Of those that its start has touched, and
// that the kernel maps around the ones it uses, it uses few again: the kernel maps those
// anew, from its page cache. It would take them back by itself, but only where memory is
// short. What isn't as in the file, such as a page with a breakpoint in it, must stay.
func releaseProgram() {
	own, err := programMappings("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range own {
		if !m.writable && !m.changed {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
		}
	}
}

// programMappings reads proc(5), maps or smaps, of which only smaps tells what changed.
func programMappings(path string) ([]mapping, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all, own []mapping
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if m, ok := parseMapping(fields); ok {
			all = append(all, m)
		} else if len(fields) > 1 && fields[0] == "Anonymous:" && len(all) > 0 {
			all[len(all)-1].changed = fields[1] != "0"
		}
	}
	here, file := reflect.ValueOf(programMappings).Pointer(), ""
	for _, m := range all {
		if m.start <= here && here < m.end {
			file = m.file
		}
	}
	for _, m := range all {
		if m.file == file {
			own = append(own, m)
		}
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("%s doesn't tell where the program is", path)
	}
	return own, nil
}

// parseMapping reads "START-END MODE OFFSET DEVICE INODE" and perhaps a path.
func parseMapping(fields []string) (m mapping, ok bool) {
	if len(fields) < 5 {
		return m, false
	}
	first, last, _ := strings.Cut(fields[0], "-")
	start, err := strconv.ParseUint(first, 16, 64)
	if err != nil {
		return m, false
	}
	end, err := strconv.ParseUint(last, 16, 64)
	if err != nil {
		return m, false
	}
	return mapping{
		start: uintptr(start), end: uintptr(end), writable: strings.Contains(fields[1], "w"), file: fields[3] + " " + fields[4],
	}, true
}
