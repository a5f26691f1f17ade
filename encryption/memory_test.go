//go:build !race

package encryption_test

import (
	"io"
	"runtime"
	"testing"
)

// The race detector has the library allocate more.
func TestMemoryCoversAReader(t *testing.T) {
	e := sealed(t, identity(t).Recipient())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := e.Encode(io.LimitReader(zeros{}, 4<<20))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, onlyReader{r}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	_, says := e.Memory()
	if took := int64(after.TotalAlloc - before.TotalAlloc); took > says {
		t.Errorf("a reader took %d bytes, Memory says %d", took, says)
	}
}
