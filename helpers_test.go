package streamflow_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := uploadAsChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// content returns n bytes that differ everywhere.
func content(n int) []byte {
	p := make([]byte, n)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(p)
	return p
}

func writeFile(t testing.TB, p []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.bin")
	if err := os.WriteFile(path, p, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func budget(t testing.TB, bytes int64) *memory.Manager {
	t.Helper()
	m, err := memory.New(&memory.Options{Limit: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("the budget still holds something: %v", err)
		}
	})
	return m
}

// manager returns a Manager that is closed at the end, with nothing held.
func manager(t testing.TB, dst store.Store, opts streamflow.Options) *streamflow.Manager {
	t.Helper()
	if opts.Memory == nil {
		opts.Memory = budget(t, 64<<20)
	}
	m, err := streamflow.New(dst, &opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if held := opts.Memory.Stats().Active; held != 0 {
			t.Errorf("%d resources are still held", held)
		}
	})
	return m
}

func wait(t testing.TB, u *streamflow.Upload) (streamflow.Result, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // fake time, mostly
	defer cancel()
	return u.Wait(ctx)
}

func mustWait(t testing.TB, u *streamflow.Upload) streamflow.Result {
	t.Helper()
	r, err := wait(t, u)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// mustWaitAll begins n uploads at once, and waits for all of them.
func mustWaitAll(t testing.TB, m *streamflow.Manager, n int, p []byte, stream bool) {
	t.Helper()
	var all []*streamflow.Upload
	for range n {
		all = append(all, begin(t, m, p, stream))
	}
	for _, u := range all {
		mustWait(t, u)
	}
}

func mustEqual(t testing.TB, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes arrived, not the %d of the source", len(got), len(want))
	}
}

func object(t testing.TB, s *memStore, name string) []byte {
	t.Helper()
	p, ok := s.object(name)
	if !ok {
		t.Fatalf("%s was not finished", name)
	}
	return p
}
