package clusterstore_test

import (
	"errors"
	"net/http"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
	"github.com/streamflow/streamflow/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		secure bool
		limit  int64
	}{"plain": {false, 64 << 20}, "TLS": {true, 64 << 20}, "small memory": {false, 2 << 20}} {
		t.Run(name, func(t *testing.T) {
			gateway := s3test.Start(t, c.secure)
			storetest.Run(t, func(t *testing.T) store.Store {
				return storetest.NewFaulty(open(t, gateway, newBucket(t, gateway), newMemory(t, c.limit)))
			}, storetest.Options{
				Read: func(t *testing.T, info store.Info) []byte {
					b, err := os.ReadFile(gateway.Path(t, info.Location))
					check(t, err)
					return b
				},
			})
		})
	}
}

const prefix = "some/prefix"

func newBucket(t *testing.T, g *s3test.Gateway) string {
	t.Helper()
	name, err := g.NewBucket()
	check(t, err)
	return name
}

// open returns a store as a node of its own would have it.
func open(t *testing.T, g *s3test.Gateway, bucket string, mem *memory.Manager) *clusterstore.Store {
	t.Helper()
	return openOver(t, g, bucket, mem, nil)
}

// openOver is open with a transport of the caller's, which may be nil.
func openOver(t *testing.T, g *s3test.Gateway, bucket string, mem *memory.Manager, tr http.RoundTripper) *clusterstore.Store {
	t.Helper()
	opts := g.Options(t)
	opts.Transport = tr
	st, err := clusterstore.Open(bucket, prefix, mem, &opts)
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	return st
}

// newTransport is what a transport of a test's own goes through.
func newTransport(t *testing.T, mem *memory.Manager) http.RoundTripper {
	t.Helper()
	tr := transport.New(mem, nil)
	t.Cleanup(tr.CloseIdleConnections)
	return tr
}

// newMemory is a budget whose close fails the test if anything is still held.
func newMemory(t *testing.T, limit int64) *memory.Manager {
	t.Helper()
	mem, err := memory.New(&memory.Options{Limit: limit})
	check(t, err)
	t.Cleanup(func() {
		if held := mem.Stats().Active; held != 0 {
			t.Errorf("%d resources were not released", held)
		}
		check(t, mem.Close())
	})
	return mem
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}
