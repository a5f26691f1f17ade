package clusterstore_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
)

// TestWaitForMemory: every call waits for a while, and then says what it waits for.
func TestWaitForMemory(t *testing.T) {
	f := newFleet(t, 1)
	f.nodes[0].SetMemoryTimeout(20 * time.Millisecond)
	st := f.nodes[0]
	_, other := f.begin(0, 10)
	u, _ := f.begin(0, 10)
	whole, _ := f.begin(0, 10)
	data := []byte("0123456789")
	f.write(whole, 0, data)
	release := storetest.Crowd(t, f.mem)
	for name, call := range map[string]func() error{
		"create": func() error { _, _, err := st.Create(t.Context(), store.Spec{Length: 1}); return err },
		"open":   func() error { _, _, err := st.Open(t.Context(), other.ID); return err },
		"stat":   func() error { _, err := st.Stat(t.Context(), other.ID); return err },
		"write":  func() error { _, err := u.Write(t.Context(), 0, bytes.NewReader(data), 10); return err },
		"finish": func() error { _, err := whole.Finish(t.Context(), store.Sum{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			err := call()
			transient, ok := errors.AsType[*store.TransientError](err)
			if !ok || transient.RetryAfter == 0 {
				t.Errorf("error is %v", err)
			}
			wants(t, err, memory.ErrFull)
		})
	}
	release()
	f.write(u, 0, data)
	third, _ := f.take(0, other.ID)
	f.write(third, 0, data)
	f.only(f.finish(u, data), f.finish(whole, data), f.finish(third, data))
}
