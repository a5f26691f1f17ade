package clusterstore_test

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/internal/s3test"
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
					b, err := os.ReadFile(path(t, gateway, info))
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
	opts := clusterstore.Options{
		Endpoint: g.Endpoint, Region: s3test.Region,
		Credentials: clusterstore.Credentials{AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey},
	}
	if g.CAFile != "" {
		pem, err := os.ReadFile(g.CAFile)
		check(t, err)
		opts.RootCAs = x509.NewCertPool()
		opts.RootCAs.AppendCertsFromPEM(pem)
	}
	st, err := clusterstore.Open(bucket, prefix, mem, &opts)
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	return st
}

// path is where the gateway keeps an object.
func path(t *testing.T, g *s3test.Gateway, info store.Info) string {
	t.Helper()
	rest, ok := strings.CutPrefix(info.Location, "s3://")
	if !ok {
		t.Fatalf("location is %q", info.Location)
	}
	return filepath.Join(g.Dir, filepath.FromSlash(rest))
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
