package memory_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/streamflow/streamflow/memory"
)

// Sizes near the largest number there is are refused as any that are too large, and
// count nowhere.
func TestLargestSizes(t *testing.T) {
	requests := map[string]func(m *memory.Manager, n int64) error{
		"acquire": func(m *memory.Manager, n int64) error {
			_, err := m.Acquire(t.Context(), memory.KindChunk, int(n))
			return err
		},
		"try": func(m *memory.Manager, n int64) error {
			_, err := m.TryAcquire(memory.KindChunk, int(n))
			return err
		},
		"reserve one": func(m *memory.Manager, n int64) error {
			_, err := m.Reserve(t.Context(), memory.KindChunk, n)
			return err
		},
		"reserve two": func(m *memory.Manager, n int64) error {
			_, err := m.Reserve(t.Context(), memory.KindChunk, n, n)
			return err
		},
		"reserve four": func(m *memory.Manager, n int64) error {
			_, err := m.Reserve(t.Context(), memory.KindChunk, n, n, n, n)
			return err
		},
		"track": func(m *memory.Manager, n int64) error {
			_, err := memory.Track(m, new([8]int), memory.KindChunk, n, nil)
			return err
		},
		"guarantee": func(m *memory.Manager, n int64) error {
			_, err := m.Child("child", &memory.ChildOptions{Guarantee: n})
			return err
		},
	}
	for name, request := range requests {
		for _, n := range []int64{math.MaxInt, math.MaxInt - 100<<10, math.MaxInt/8*7 + 1, math.MaxInt / 2, math.MaxInt/2 + 1} {
			t.Run(fmt.Sprintf("%s %x", name, n), func(t *testing.T) {
				root := newManager(t, &memory.Options{Limit: 1 << 20})
				newChild(t, root, "guaranteed", &memory.ChildOptions{Guarantee: 64 << 10})
				for _, m := range []*memory.Manager{root, newChild(t, root, "child", nil)} {
					if err := request(m, n); !errors.Is(err, memory.ErrLimit) {
						t.Errorf("manager %q: %v", m.Name(), err)
					}
				}
				if used := root.Used(); used != 64<<10 {
					t.Errorf("%d bytes are in use", used)
				}
			})
		}
	}
}
