//go:build !race

package server_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/streamflow/streamflow/server"
)

// What is charged for a connection with a body that waits is what it takes.
func TestConnectionCost(t *testing.T) {
	const n = 500
	r := serve(t, 100<<20, server.Options{})
	uploads := make([]string, n)
	for i := range uploads {
		uploads[i] = r.create("Upload-Length", "10", "Upload-Metadata", "filename d29ybGQudHh0,filetype dGV4dC9wbGFpbg==")
	}
	r.client.CloseIdleConnections()
	r.connections(0)
	held, charged := heldByRuntime(), r.mem.Stats().Used
	for _, upload := range uploads {
		r.half(upload, 10, "01234")
	}
	for r.server.InFlight() != n {
		time.Sleep(time.Millisecond)
	}
	cost, charge := (heldByRuntime()-held)/n, (r.mem.Stats().Used-charged)/n
	t.Logf("a connection whose body waits takes %d bytes of the runtime, and is charged %d", cost, charge)
	// Both ends are in this process: some of it is the client's.
	if cost > charge+clientBytes {
		t.Errorf("a connection takes %d bytes, and is charged %d", cost, charge)
	}
}

// clientBytes is a client's end of a connection and its part of the test.
const clientBytes = 3 << 10

// heldByRuntime is what the heap and the stacks take after a collection.
func heldByRuntime() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
