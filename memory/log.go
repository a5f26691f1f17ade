package memory

import (
	"context"
	"log/slog"
	"time"
)

// maxBacklog bounds the records that wait to be logged.
const maxBacklog = 1024

// A backlog keeps log records until the janitor writes them, since the tree's
// mutex must not be held across the I/O of a log.
type backlog struct {
	records []slog.Record
	dropped int
}

// log notes a record. t.mu is locked.
func (t *tree) log(level slog.Level, msg string, attrs ...slog.Attr) {
	if !t.opts.Logger.Enabled(context.Background(), level) {
		return
	}
	if len(t.backlog.records) >= maxBacklog {
		t.backlog.dropped++
		return
	}
	r := slog.NewRecord(time.Now(), level, msg, 0)
	r.AddAttrs(attrs...)
	t.backlog.records = append(t.backlog.records, r)
	t.janitor.wake(errandLog)
}

// writeLog writes what was noted.
func (t *tree) writeLog() {
	t.mu.Lock()
	noted := t.backlog
	t.backlog = backlog{}
	t.mu.Unlock()
	ctx := context.Background()
	handler := t.opts.Logger.Handler()
	for _, r := range noted.records {
		_ = handler.Handle(ctx, r) // as slog.Logger does
	}
	if noted.dropped > 0 {
		t.opts.Logger.LogAttrs(ctx, slog.LevelWarn, "memory log records dropped", slog.Int("count", noted.dropped))
	}
}
