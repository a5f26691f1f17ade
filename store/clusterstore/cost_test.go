//go:build !race

package clusterstore_test

import (
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// What a Write is charged covers what it takes, and not much more: fifty have to go
// at full speed in 64 MiB.
func TestWriteCost(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			const n = 40
			gateway := s3test.Start(t, secure)
			mem := newMemory(t, 64<<20)
			st := open(t, gateway, newBucket(t, gateway), mem)
			uploads := make([]store.Upload, n)
			for i := range uploads {
				u, _, err := st.Create(t.Context(), store.Spec{Name: "f", Length: 8 << 20})
				check(t, err)
				uploads[i] = u
			}
			held := heldByRuntime()
			resume := stall(t, uploads)
			cost, charge := (heldByRuntime()-held)/n, mem.Stats().Kinds[memory.KindConnection].Bytes/n
			resume()
			t.Logf("a Write under way takes %d KiB of the runtime, and is charged %d beside its buffers", cost>>10, charge>>10)
			if cost > charge {
				t.Errorf("a Write takes %d bytes, and is charged %d", cost, charge)
			}
			if charge > 192<<10 {
				t.Errorf("a Write is charged %d bytes", charge)
			}
			for _, u := range uploads {
				check(t, u.Abort(t.Context()))
			}
		})
	}
}

// stall has a Write to each upload wait for its body in the middle of a part, until
// the returned function has the bodies break off.
func stall(t *testing.T, uploads []store.Upload) (resume func()) {
	var waiting, writes sync.WaitGroup
	broken := make(chan struct{})
	waiting.Add(len(uploads))
	for _, u := range uploads {
		body := io.MultiReader(io.LimitReader(zeros{}, 1<<20), once(func() {
			waiting.Done()
			<-broken
		}))
		writes.Go(func() {
			if _, err := u.Write(t.Context(), 0, body, 8<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("a body broke off: %v", err)
			}
		})
	}
	waiting.Wait()
	return func() {
		close(broken)
		writes.Wait()
	}
}

// once is a reader of nothing that does something at the first Read.
func once(do func()) io.Reader { return waiting(sync.OnceFunc(do)) }

// heldByRuntime is what the heap and the stacks take after a collection.
func heldByRuntime() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
