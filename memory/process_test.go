package memory_test

import (
	"context"
	"errors"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
)

const mib = 1 << 20

func TestOpenProcess(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	p, err := memory.OpenProcess(&memory.Options{Limit: 64 * mib})
	if err != nil {
		t.Fatal(err)
	}
	if limit := p.Manager().Limit(); limit < 32*mib || limit > 56*mib {
		t.Errorf("the manager hands out %d bytes of a budget of 64 MiB", limit)
	}
	if heap := debug.SetMemoryLimit(-1); heap+p.Manager().Limit() > 64*mib {
		t.Errorf("heap %d and manager %d together exceed the budget", heap, p.Manager().Limit())
	}
	s := p.Manager().Stats().Process
	if s == nil || s.Budget != 64*mib || s.Reserve+p.Manager().Limit() != s.Budget || s.Runtime == 0 {
		t.Errorf("stats %+v", s)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if after := debug.SetMemoryLimit(-1); after != before {
		t.Errorf("memory limit of the runtime is %d after Close, was %d", after, before)
	}
}

func TestBudgetTooSmall(t *testing.T) {
	_, err := memory.OpenProcess(&memory.Options{Limit: memory.MinBudget - 1})
	var limit *memory.LimitError
	if !errors.As(err, &limit) || limit.Needed != memory.MinBudget {
		t.Errorf("got %v, want a LimitError that names %d", err, memory.MinBudget)
	}
}

// BudgetFor is the smallest budget that would do, not just one that would.
func TestBudgetFor(t *testing.T) {
	p, err := memory.OpenProcess(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, limit := range []int64{1, mib, 12 * mib, 43 * mib, 100 * mib, 1000 * mib, math.MaxInt32 * 16} {
		budget := p.BudgetFor(limit)
		if got := p.LimitOf(budget); got < limit {
			t.Errorf("BudgetFor(%d) = %d, which leaves only %d", limit, budget, got)
		}
		if budget > memory.MinBudget && p.LimitOf(budget-1) >= limit {
			t.Errorf("BudgetFor(%d) = %d, but one byte less would do", limit, budget)
		}
	}
}

func TestBudgetForTheLargestLimit(t *testing.T) {
	p, err := memory.OpenProcess(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got := p.BudgetFor(math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("it is %d", got)
	}
}

// What the runtime takes beyond its share is made good by the rest, but whoever
// holds almost all can still get the little that he needs to finish.
func TestOverdraft(t *testing.T) {
	p, err := memory.OpenProcess(&memory.Options{Limit: 64 * mib})
	if err != nil {
		t.Fatal(err)
	}
	m := p.Manager()
	first := ballast()
	waitFor(t, "the overdraft is charged", func() bool { return m.Stats().Used > 8*mib })
	runtime.KeepAlive(first)
	waitFor(t, "the overdraft is over", func() bool {
		runtime.GC()
		debug.FreeOSMemory()
		return m.Stats().Used == 0
	})

	all := acquire(t, m, 40*mib)
	second := ballast()
	waitFor(t, "the overdraft is charged again", func() bool { return m.Stats().Used > 40*mib })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	b, err := m.Acquire(ctx, memory.KindTransfer, 256*kib)
	if err != nil {
		t.Fatal(err)
	}
	release(t, b)
	release(t, all)
	runtime.KeepAlive(second)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A request that waits because of garbage doesn't wait for the runtime's next
// collection either.
func TestStalledRequestCollectsGarbage(t *testing.T) {
	p, err := memory.OpenProcess(&memory.Options{Limit: 64 * mib})
	if err != nil {
		t.Fatal(err)
	}
	m := p.Manager()
	garbage := ballast()
	waitFor(t, "the overdraft is charged", func() bool { return m.Stats().Used > 8*mib })
	runtime.KeepAlive(garbage)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b, err := m.Acquire(ctx, memory.KindChunk, 40*mib)
	if err != nil {
		t.Fatal(err)
	}
	release(t, b)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// A heap that is close to its share gets an advance, so that it isn't collected all the
// time, and not where it would be missed.
func TestAdvance(t *testing.T) {
	p, err := memory.OpenProcess(&memory.Options{Limit: 64 * mib})
	if err != nil {
		t.Fatal(err)
	}
	m, share := p.Manager(), debug.SetMemoryLimit(-1)
	live := make([][]byte, 0, 9*mib/kib)
	for range cap(live) {
		live = append(live, make([]byte, kib))
	}
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	busy.Go(func() {
		for garbage := [][]byte{}; ctx.Err() == nil; garbage = append(garbage[:0], make([]byte, 4*kib)) {
		}
	})
	waitFor(t, "an advance", func() bool { return debug.SetMemoryLimit(-1) > share })
	b := acquire(t, m, 32*mib)
	waitFor(t, "no advance", func() bool {
		limit := debug.SetMemoryLimit(-1)
		return limit == share || limit == share+32*mib // where buffers are on the heap
	})
	stop()
	busy.Wait()
	runtime.KeepAlive(live)
	release(t, b)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// ballast is live memory on the Go heap, beyond the runtime's share.
func ballast() []byte {
	b := make([]byte, 40*mib)
	for i := range b {
		b[i] = 1
	}
	return b
}

func waitFor(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(memory.ClockTick) {
		if time.Now().After(deadline) {
			tb.Fatalf("%s: not within 10 s", what)
		}
	}
}

// What is set aside for the program's own pages follows from its file.
func TestProgramBytes(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux can be asked")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(exe)
	if err != nil {
		t.Fatal(err)
	}
	if got := memory.ProgramBytes(); got < file.Size()/4 || got > file.Size()+mib {
		t.Errorf("%d bytes are set aside for a program of %d", got, file.Size())
	}
}
