package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much garbage gathers on the heap before a collection, in percent of what
// lives there: as much as is usual only where collections would take their time.
const (
	minGarbage   = 10
	idleGarbage  = 50
	maxGarbage   = 100
	garbageBytes = 8 << 20
)

// Collections that take more than busyShare of the processors call for an advance,
// and for less of it below idleShare, in steps. From there on more garbage gathers, and
// less once even that would be below it.
const (
	busyShare   = 0.15
	idleShare   = 0.05
	advanceStep = 1 << 20
	mostSteps   = 8
)

// A heap is what the Go runtime may take. The nearer it is to its limit the more often
// it is collected, up to half of the time: before that, an advance on what is to spare
// costs less. It belongs to a Process, whose mutex guards it.
type heap struct {
	previous int64 // the runtime's memory limit as it was found
	percent  int   // and its GC percentage

	limit   int64
	garbage int
	most    int     // that garbage may be
	steps   int64   // of the advance that is wished for
	spent   float64 // processor seconds of all collections
	looked  time.Time
}

// take makes the limit that of the runtime.
func (h *heap) take(limit int64) {
	h.limit, h.garbage, h.most = limit, idleGarbage, idleGarbage
	h.previous = debug.SetMemoryLimit(limit)
	h.percent = debug.SetGCPercent(h.garbage)
	h.spent, h.looked = collectorSeconds(), time.Now()
}

func (h *heap) giveBack() {
	debug.SetMemoryLimit(h.previous)
	debug.SetGCPercent(h.percent)
}

// wish returns how many bytes the heap should have beyond its share, by what
// collections have taken since it was asked last.
func (h *heap) wish() int64 {
	spent, now := collectorSeconds(), time.Now()
	share := (spent - h.spent) / (now.Sub(h.looked).Seconds() * float64(runtime.GOMAXPROCS(0)))
	h.spent, h.looked = spent, now
	switch {
	case share > busyShare:
		h.steps = min(h.steps+1, mostSteps)
	case share < idleShare:
		h.steps = max(h.steps-1, 0)
	}
	switch {
	case share >= idleShare:
		h.most = maxGarbage
	case share < idleShare*idleGarbage/maxGarbage:
		h.most = idleGarbage
	}
	return h.steps * advanceStep
}

// allow lets the heap take its share, what is charged for objects on it, and an
// advance.
func (h *heap) allow(share, foreign, advance int64) {
	limit := min(share+foreign+advance, h.previous)
	if diff := limit - h.limit; diff < 0 || diff >= 1<<20 {
		h.limit = limit
		debug.SetMemoryLimit(limit)
	}
	if percent := min(h.most, garbagePercent(foreign)); percent != h.garbage {
		h.garbage = percent
		debug.SetGCPercent(percent)
	}
}

// garbagePercent is less, in steps, the more of the heap is charged for: garbage
// beside thousands of connections would take as much as they do.
func garbagePercent(foreign int64) int {
	for percent := maxGarbage; percent > minGarbage; percent /= 2 {
		if foreign/100*int64(percent) <= garbageBytes {
			return percent
		}
	}
	return minGarbage
}

// collectorSeconds is the processor time that collections have taken from the
// program, by the runtime's estimate.
func collectorSeconds() float64 {
	samples := []metrics.Sample{{Name: "/cpu/classes/gc/mark/assist:cpu-seconds"}, {Name: "/cpu/classes/gc/mark/dedicated:cpu-seconds"}}
	metrics.Read(samples)
	return samples[0].Value.Float64() + samples[1].Value.Float64()
}
