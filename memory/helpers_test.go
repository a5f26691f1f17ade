package memory_test

import (
	"testing"

	"github.com/streamflow/streamflow/memory"
)

func newManager(tb testing.TB, opts *memory.Options) *memory.Manager {
	tb.Helper()
	m, err := memory.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

func newChild(tb testing.TB, m *memory.Manager, name string, opts *memory.ChildOptions) *memory.Manager {
	tb.Helper()
	c, err := m.Child(name, opts)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func reserve(tb testing.TB, m *memory.Manager, bytes int64) memory.Reservation {
	tb.Helper()
	r, err := m.TryReserve(memory.KindChunk, bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}
