package main

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"github.com/streamflow/streamflow/memory"
)

// watchMemory logs each rise of the level of mem, and cleans up on SIGUSR1,
// until stop is called.
func watchMemory(mem *memory.Manager, logger *slog.Logger, w io.Writer) (stop func()) {
	stopSignal := onSignal(cleanupSignal, func() { cleanUp(mem, w) })
	events := mem.Subscribe()
	var watching sync.WaitGroup
	watching.Go(func() {
		for e := range events.Events(context.Background()) {
			if change, ok := e.(memory.LevelChange); ok && change.To > change.From {
				logger.Warn("memory is getting scarce", "level", change.To, "used", change.Used, "limit", change.Limit, "count", change.Count)
			}
		}
	})
	return func() {
		stopSignal()
		events.Close()
		watching.Wait()
	}
}

// cleanUp frees what memory it can, and logs to w what there is then.
func cleanUp(mem *memory.Manager, w io.Writer) {
	freed, err := mem.Cleanup(context.Background())
	stats := mem.Stats()
	slog.New(slog.NewTextHandler(w, nil)).Info("memory cleaned up",
		"freed", freed, "allocated", stats.Allocated, "cached", stats.Cached, "peak", stats.Peak, "limit", stats.Limit,
		"active", stats.Active, "level", stats.Level, "waiters", stats.Waiters, "leaks", stats.Leaks, "err", err)
}
