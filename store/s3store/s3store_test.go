package s3store_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/s3store"
	"github.com/streamflow/streamflow/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			gateway := s3test.Start(t, secure)
			storetest.Run(t, func(t *testing.T) store.Store {
				return open(t, gateway, nil)
			}, storetest.Options{
				BadNames: badNames,
				Unlisted: true,
				Read: func(t *testing.T, info store.Info) []byte {
					b, err := os.ReadFile(gateway.Path(t, info.Location))
					check(t, err)
					return b
				},
			})
		})
	}
}

var badNames = []string{
	"", "/", "/etc/passwd", ".", "..", "../x", "a/../b", "a//b", "a/", "a/.", "nul\x00", "\xff not utf-8",
	strings.Repeat("k/", 512) + "1025 bytes with the prefix",
}

const prefix = "some/prefix"

// open returns a store of a new bucket; opts may be nil.
func open(t *testing.T, g *s3test.Gateway, opts *s3store.Options) *s3store.Store {
	t.Helper()
	return openWithin(t, g, newMemory(t), opts)
}

// openWithin is open with a budget of the caller's.
func openWithin(t *testing.T, g *s3test.Gateway, mem *memory.Manager, opts *s3store.Options) *s3store.Store {
	t.Helper()
	bucket, err := g.NewBucket()
	check(t, err)
	var o s3store.Options
	if opts != nil {
		o = *opts
	}
	at := g.Options(t)
	o.Endpoint, o.Region, o.Credentials, o.RootCAs = at.Endpoint, at.Region, at.Credentials, at.RootCAs
	st, err := s3store.Open(bucket, prefix, mem, &o)
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	return st
}

// newMemory is a budget whose close fails the test if anything is still held.
func newMemory(t *testing.T) *memory.Manager {
	t.Helper()
	mem, err := memory.New(nil)
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
