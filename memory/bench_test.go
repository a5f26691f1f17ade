package memory_test

import (
	"testing"

	"github.com/streamflow/streamflow/memory"
)

func BenchmarkAcquireRelease(b *testing.B) {
	for _, bench := range []struct {
		name  string
		depth int
	}{{"depth=1", 1}, {"depth=4", 4}} {
		b.Run(bench.name, func(b *testing.B) {
			m := newManager(b, nil)
			for range bench.depth - 1 {
				m = newChild(b, m, "child", nil)
			}
			b.Run("alone", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					acquireRelease(b, m)
				}
			})
			b.Run("goroutines=8", func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(4)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						acquireRelease(b, m)
					}
				})
			})
		})
	}
}

func acquireRelease(b *testing.B, m *memory.Manager) {
	buf, err := m.Acquire(b.Context(), memory.KindChunk, 64<<10)
	if err != nil {
		b.Error(err)
		return
	}
	if err := buf.Release(); err != nil {
		b.Error(err)
	}
}
