package memory

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

const stackDepth = 24

// callers records the stack of the caller of the exported function.
func callers(stack []uintptr) []uintptr {
	stack = slices.Grow(stack[:0], stackDepth)[:stackDepth]
	return stack[:runtime.Callers(3, stack)]
}

// wantsStack reports whether every allocation of the kind is recorded.
func (t *tree) wantsStack(kind Kind) bool {
	d := t.detours.Load()
	return d&detourDetailed != 0 || d&detourLeaked != 0 && (*t.leaked.Load())[kind]
}

// lose is called when the handle of a slot has become unreachable. Unless the
// slot had been dropped before, its holder is gone without having released it.
func (t *tree) lose(sl *slot) {
	s := sl.shard.lock()
	if s == nil {
		return
	}
	sl.held = false
	s.remove(sl)
	s.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	// Somebody may still have the bytes, though not the Buffer.
	t.arena.retire(sl.mem)
	m := t.heir(s.m)
	t.giveBack(m, sl)
	t.reportLeak(m, sl.record, nil)
	t.settle()
	t.observe(m)
}

// reportLeak tells everybody, and has all allocations of the kind recorded
// from now on.
func (t *tree) reportLeak(m *Manager, r record, metadata map[string]any) {
	m.counts.leaks++
	m.counts.leakedBytes += r.size
	t.lostBytes += r.size
	if !t.opts.Tracking.Disabled {
		t.markLeaked(r.kind)
	}
	m.publishLeak(Leak{
		Manager: m.name, Kind: r.kind, Size: r.size, Metadata: metadata,
		Age: time.Duration(t.clock.now() - r.created), Stack: formatStack(r.stack), Count: m.counts.leaks,
	})
}

func (t *tree) markLeaked(kind Kind) {
	kinds := map[Kind]bool{kind: true}
	if known := t.leaked.Load(); known != nil {
		if (*known)[kind] {
			return
		}
		maps.Copy(kinds, *known)
	}
	t.leaked.Store(&kinds)
	t.detour(detourLeaked, true)
}

// formatStack prints a stack as panics do.
func formatStack(stack []uintptr) string {
	if len(stack) == 0 {
		return ""
	}
	var b strings.Builder
	frames := runtime.CallersFrames(stack)
	for {
		frame, more := frames.Next()
		if !strings.HasPrefix(frame.Function, packagePrefix) || strings.HasSuffix(frame.File, "_test.go") {
			fmt.Fprintf(&b, "%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		}
		if !more {
			return b.String()
		}
	}
}

const packagePrefix = "github.com/streamflow/streamflow/memory."
