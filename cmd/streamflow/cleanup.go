package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/streamflow/streamflow/memory"
)

// cleanUpOnSignal cleans mem up on SIGUSR1 until stop is called.
func cleanUpOnSignal(mem *memory.Manager, w io.Writer) (stop func()) {
	return onSignal(cleanupSignal, func() { cleanUp(mem, w) })
}

// cleanUp frees what memory it can, and logs to w what there is then.
func cleanUp(mem *memory.Manager, w io.Writer) {
	freed, err := mem.Cleanup(context.Background())
	stats := mem.Stats()
	logger := slog.New(slog.NewTextHandler(w, nil))
	if err != nil {
		logger.Warn("cleaning memory up failed", "err", err)
	}
	logger.Info("memory cleaned up",
		slog.Group("freed", "total", freed.Total(), "cached", freed.Cached, "expired", freed.Expired,
			"unreachable", freed.Unreachable, "hooks", freed.Hooks, "collected", freed.Collected),
		"allocated", stats.Allocated, "cached", stats.Cached, "peak", stats.Peak, "limit", stats.Limit,
		"active", stats.Active, "level", stats.Level, "waiters", stats.Waiters, "leaks", stats.Leaks)
}
