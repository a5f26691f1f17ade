package memory

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// GCInfo describes collections of the Go heap.
type GCInfo struct {
	Count uint64 // collections of the process so far
	Last  time.Time
	Pause time.Duration // of the last one: how long the program stood still
}

// collectionShare is the part of one processor's time that the collections
// started here may take.
const collectionShare = 0.05

// A collectionBudget keeps collections to their share. It is guarded by
// hooks.running.
type collectionBudget struct{ next time.Time }

func (b *collectionBudget) spend(began time.Time, took time.Duration) {
	b.next = began.Add(time.Duration(float64(took) / collectionShare))
}

// collect runs a collection where that could free something, and the share
// allows one. hooks.running is locked.
func (t *tree) collect(ctx context.Context, all bool, freed *Freed) {
	if time.Now().Before(t.hooks.budget.next) || !(t.heapIsCause() || t.stalled()) {
		return
	}
	for _, h := range t.hookList(&t.hooks.beforeGC) {
		h.run(ctx)
	}
	before, began := heapBytes(), time.Now()
	t.runCollector()
	t.hooks.budget.spend(began, time.Since(began))
	freed.Collected += max(0, before-heapBytes())
	t.findLost()
	t.sweep(all, freed)
}

func (t *tree) runCollector() {
	if t.process != nil {
		debug.FreeOSMemory() // a collection that also gives the pages back
		return
	}
	runtime.GC()
}

// heapIsCause reports whether garbage may count against the budget. Buffers
// that were lost may, too, but that is only looked into when a request stalls.
func (t *tree) heapIsCause() bool {
	if !offHeap || t.process.heapExceeds() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	tracked := false
	t.root.eachManager(func(m *Manager) { tracked = tracked || len(m.resources) > 0 })
	return tracked
}

// findLost takes back the slots whose handles the collection has found dead.
// Their cleanups, which the runtime runs later, then find nothing to do.
func (t *tree) findLost() {
	var lost []*slot
	t.mu.Lock()
	t.root.eachManager(func(m *Manager) {
		m.eachShard(func(s *shard) {
			for _, sl := range s.slots {
				if sl.held && sl.self.Value() == nil {
					lost = append(lost, sl)
				}
			}
		})
	})
	t.mu.Unlock()
	for _, sl := range lost {
		t.lose(sl)
	}
}

// noteCollections tells the callback about collections that have happened.
func (t *tree) noteCollections() {
	var stats debug.GCStats
	debug.ReadGCStats(&stats)
	info := GCInfo{Count: uint64(stats.NumGC), Last: stats.LastGC}
	if len(stats.Pause) > 0 {
		info.Pause = stats.Pause[0]
	}
	t.mu.Lock()
	t.lastGC = info.Last
	t.mu.Unlock()
	if t.opts.GCCallback != nil {
		t.opts.GCCallback(info)
	}
}

func countCollections() uint64 { return readMetric("/gc/cycles/total:gc-cycles") }

func heapBytes() int64 { return int64(readMetric("/memory/classes/heap/objects:bytes")) }

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
