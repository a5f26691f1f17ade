package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/memory/machine"
)

// What --max-memory auto takes of a container, and of a machine that others
// use too.
const (
	autoOfContainer = 80 // percent
	autoOfMachine   = 25
)

// A budget is the value of --max-memory.
type budget struct {
	text    string
	bytes   int64
	percent float64 // of what there is, where not 0
	auto    bool
}

func (b *budget) Set(s string) error {
	*b = budget{text: s}
	if s == "auto" {
		b.auto = true
		return nil
	}
	if number, ok := strings.CutSuffix(s, "%"); ok {
		percent, err := strconv.ParseFloat(number, 64)
		if err != nil || !(percent > 0 && percent <= 100) { // also catches NaN
			return fmt.Errorf("%q: a percentage is above 0%% and up to 100%%", s)
		}
		b.percent = percent
		return nil
	}
	bytes, err := bytesize.Parse(s)
	b.bytes = bytes
	return err
}

func (b *budget) String() string { return b.text }
func (b *budget) Type() string   { return "size|%|auto" }

// resolve returns the budget in bytes. The limit is asked for only where the
// budget is a share of it.
func (b *budget) resolve(limit func() (int64, machine.Origin, error)) (int64, error) {
	bytes, text := b.bytes, b.text
	if b.auto || b.percent > 0 {
		available, source, err := limit()
		if err != nil {
			return 0, fmt.Errorf("--max-memory %s: %w; give it as a size", b.text, err)
		}
		percent := b.percent
		switch {
		case b.auto && source == machine.Container:
			percent = autoOfContainer
		case b.auto:
			percent = autoOfMachine
		}
		bytes = int64(float64(available) / 100 * percent)
		text = fmt.Sprintf("%s (%s of this %s's %s)", b.text, bytesize.Format(bytes), source, bytesize.Format(available))
	}
	if bytes < memory.MinBudget {
		return 0, &budgetError{fmt.Errorf("--max-memory %s is too small: the smallest that works is %s",
			text, bytesize.Format(memory.MinBudget))}
	}
	return bytes, nil
}

// A budgetError is a refusal because --max-memory is too small. It names the
// smallest that would do.
type budgetError struct{ err error }

func (e *budgetError) Error() string { return e.err.Error() }
func (e *budgetError) Unwrap() error { return e.err }

// Is reports whether target is memory.ErrLimit.
func (e *budgetError) Is(target error) bool { return target == memory.ErrLimit }

// explainRefusal says of an error for lack of memory which --max-memory would
// do. It returns other errors as they are.
func explainRefusal(err error, name string, process *memory.Process) error {
	var refused *memory.LimitError
	if !errors.As(err, &refused) {
		return err
	}
	smallest := max(memory.MinBudget, process.BudgetFor(refused.Needed))
	return &budgetError{fmt.Errorf(
		"upload %s: it takes %s of memory at once, more than the budget has room for: the smallest that works is --max-memory %dMiB, or take a smaller --chunk-size",
		name, bytesize.Format(refused.Requested), (smallest+bytesize.MiB-1)/bytesize.MiB)}
}

// memoryFlags are the flags of every command that has a budget.
type memoryFlags struct {
	max             budget
	warning         float64
	critical        float64
	cleanupInterval time.Duration
	autoCleanup     bool
	track           choices
	debug           choices
}

func (f *memoryFlags) group() flagGroup {
	f.max = budget{text: bytesize.Format(memory.DefaultLimit), bytes: memory.DefaultLimit}
	f.track.of = []string{"detailed", "metadata"}
	f.debug.of = []string{"memory"}
	g := newFlagGroup("Memory")
	g.flags.Var(&f.max, "max-memory", "memory of the whole process: 64MiB, 75% of the container or machine, or auto")
	g.flags.Float64Var(&f.warning, "memory-warning", memory.DefaultWarning, "fraction of the budget above which work narrows")
	g.flags.Float64Var(&f.critical, "memory-critical", memory.DefaultCritical, "fraction of the budget above which nothing new is begun")
	g.flags.DurationVar(&f.cleanupInterval, "cleanup-interval", memory.DefaultCleanupInterval, "time between cleanups")
	g.flags.BoolVar(&f.autoCleanup, "auto-cleanup", true, "clean up by itself, not only on SIGUSR1")
	g.flags.Var(&f.track, "track", "what to remember of each resource besides its size: detailed, metadata")
	g.flags.Var(&f.debug, "debug", "what to log all about: memory")
	return g
}

// logger logs to w from level up, or all there is where --debug asks for it.
func (f *memoryFlags) logger(w io.Writer, level logLevel) *slog.Logger {
	if f.debug.has("memory") {
		level.Level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level.Level}))
}

// open puts the process under the budget.
func (f *memoryFlags) open(cmd *cobra.Command, logger *slog.Logger) (*memory.Process, error) {
	if !(f.warning > 0 && f.warning <= f.critical && f.critical <= 1) {
		return nil, usagef(cmd, "--memory-warning %v and --memory-critical %v: want 0 < warning ≤ critical ≤ 1", f.warning, f.critical)
	}
	if f.cleanupInterval <= 0 {
		return nil, usagef(cmd, "--cleanup-interval %v: want more than 0", f.cleanupInterval)
	}
	limit, err := f.max.resolve(machine.Limit)
	if err != nil {
		return nil, err
	}
	process, err := memory.OpenProcess(&memory.Options{
		Limit:              limit,
		Thresholds:         memory.Thresholds{Warning: f.warning, Critical: f.critical},
		CleanupInterval:    f.cleanupInterval,
		DisableAutoCleanup: !f.autoCleanup,
		GCCallback: func(gc memory.GCInfo) {
			logger.Debug("heap collected", "count", gc.Count, "pause", gc.Pause)
		},
		Tracking: memory.Tracking{Detailed: f.track.has("detailed"), Metadata: f.track.has("metadata")},
		Logger:   logger,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the memory budget: %w", err)
	}
	if f.debug.has("memory") {
		process.Manager().Debug(memory.DebugOptions{Tracking: true, Verbose: true})
	}
	return process, nil
}
