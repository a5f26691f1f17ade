package memory

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// A janitor does what a tree needs done in the background: one goroutine keeps
// the clock, the other cleans up, calls back and logs, and may be held up by
// its callbacks.
type janitor struct {
	tree    *tree
	errands atomic.Uint32
	bell    chan struct{} // has one element while there are errands
	cancel  context.CancelFunc
	wait    sync.WaitGroup
}

// What the janitor is asked to do.
const (
	errandLog     uint32 = 1 << iota // write the log
	errandGC                         // call back after a collection
	errandPress                      // clean up, since a level was entered or a request stalls
	errandCleanup                    // clean up, since it is time
)

func startJanitor(t *tree) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &janitor{tree: t, bell: make(chan struct{}, 1), cancel: cancel}
	t.janitor = j
	j.wait.Go(func() { j.keepTime(ctx) })
	j.wait.Go(func() { j.work(ctx) })
}

func (j *janitor) stop() {
	j.cancel()
	j.wait.Wait()
}

// wake asks for errands. It never blocks.
func (j *janitor) wake(errands uint32) {
	j.errands.Or(errands)
	select {
	case j.bell <- struct{}{}:
	default:
	}
}

func (j *janitor) keepTime(ctx context.Context) {
	ticks := time.NewTicker(clockTick)
	defer ticks.Stop()
	collections := countCollections()
	cleaned := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticks.C:
			j.tree.clock.set(now)
			j.tree.process.sample()
			if j.tree.stalled() {
				j.wake(errandPress)
			}
			if n := countCollections(); n != collections {
				collections = n
				j.wake(errandGC)
			}
			if now.Sub(cleaned) >= j.tree.opts.CleanupInterval {
				cleaned = now
				j.wake(errandCleanup)
			}
		}
	}
}

func (j *janitor) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.bell:
		}
		todo := j.errands.Swap(0)
		if todo&errandGC != 0 {
			j.tree.noteCollections()
		}
		if todo&(errandPress|errandCleanup) != 0 && !j.tree.opts.DisableAutoCleanup {
			j.cleanUp(ctx, todo&errandPress != 0)
		}
		j.tree.writeLog()
	}
}

// cleanUp runs the chain: under pressure all of it, else only what is idle or
// over.
func (j *janitor) cleanUp(ctx context.Context, pressed bool) {
	var freed Freed
	if pressed {
		freed, _ = j.tree.cleanUp(ctx, false) // the only error is that of ctx, which ends work too
	} else {
		freed = j.tree.tidy()
	}
	if freed.Total() > 0 {
		j.tree.opts.Logger.LogAttrs(ctx, slog.LevelDebug, "memory cleaned up", slog.Any("freed", freed))
	}
}
