package memory_test

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	chunkBytes = 64 << 10
	limitBytes = 64 << 20
	goroutines = 8
)

// A contender takes one chunk and gives it back; it reports whether that went
// well. The function it comes from returns what the goroutine calls in a loop,
// so that per-goroutine state is set up outside of what is measured.
type contender struct {
	name string
	new  func(b *testing.B) (cycle func() bool)
}

func contenders() []contender {
	return []contender{
		{"streamflow-depth1", newStreamflow(1)},
		{"streamflow-depth4", newStreamflow(4)},
		{"semaphore", newSemaphore},
		{"rclone", newRclone},
		{"arrow", newArrow},
		{"libp2p", newLibp2p},
		{"make", newMake},
	}
}

func BenchmarkAlone(b *testing.B) {
	for _, c := range contenders() {
		b.Run(c.name, func(b *testing.B) {
			cycle := c.new(b)
			b.ReportAllocs()
			failed := 0
			before := cpuTime(b)
			for b.Loop() {
				if !cycle() {
					failed++
				}
			}
			report(b, before, failed)
		})
	}
}

func BenchmarkContended(b *testing.B) {
	for _, c := range contenders() {
		b.Run(c.name, func(b *testing.B) {
			cycle := c.new(b)
			b.ReportAllocs()
			b.SetParallelism((goroutines + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			before := cpuTime(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				failed := 0
				for pb.Next() {
					if !cycle() {
						failed++
					}
				}
				if failed > 0 {
					b.Errorf("%d cycles failed", failed)
				}
			})
			report(b, before, 0)
		})
	}
}

// report adds the CPU time of the whole process to each operation: wall time
// flatters whoever keeps several cores busy, and leaves out the collector.
func report(b *testing.B, before time.Duration, failed int) {
	b.Helper()
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	if failed > 0 {
		b.Errorf("%d cycles failed", failed)
	}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
