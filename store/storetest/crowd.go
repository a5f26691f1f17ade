package storetest

import (
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// Crowd fills the memory and has somebody wait for more of it, until release is called.
// A store that waits behind him for what its own caller holds would never go on.
func Crowd(t *testing.T, mem *memory.Manager) (release func()) {
	t.Helper()
	var held []memory.Reservation
	for size := mem.Stats().Limit; size > 0; size /= 2 {
		if r, err := mem.TryReserve(memory.KindTransfer, size); err == nil {
			held = append(held, r)
		}
	}
	before, waited := mem.Stats().Waiters, make(chan error, 1)
	go func() {
		r, err := mem.Reserve(t.Context(), memory.KindTransfer, mem.Stats().Limit/2)
		if err == nil {
			err = r.Release()
		}
		waited <- err
	}()
	for mem.Stats().Waiters == before {
		time.Sleep(time.Millisecond)
	}
	return func() {
		t.Helper()
		for _, r := range held {
			if err := r.Release(); err != nil {
				t.Error(err)
			}
		}
		if err := <-waited; err != nil {
			t.Error(err)
		}
	}
}
