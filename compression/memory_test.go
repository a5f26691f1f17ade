//go:build !race

package compression_test

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// The race detector has the library allocate more.
func TestMemoryCoversAReader(t *testing.T) {
	plain := append(prose(2<<20), noise(2<<20)...)
	for name, c := range codings {
		t.Run(name, func(t *testing.T) {
			runtime.GC()
			runtime.GC() // empties the pool
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r, err := c.coding.Encode(bytes.NewReader(plain))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, make([]byte, 4<<10)); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			_, says := c.coding.Memory()
			if took := int64(after.TotalAlloc - before.TotalAlloc); took > says {
				t.Errorf("a reader took %d bytes, Memory says %d", took, says)
			}
		})
	}
}
