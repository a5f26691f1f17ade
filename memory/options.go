package memory

import (
	"fmt"
	"log/slog"
	"math"
	"time"
)

// Defaults of Options.
const (
	DefaultLimit           = 100 << 20 // bytes
	DefaultWarning         = 0.7       // of the limit
	DefaultCritical        = 0.9       // of the limit
	DefaultCleanupInterval = 30 * time.Second
)

// Options of a root manager. The zero value, and nil, mean the defaults.
type Options struct {
	// Name appears in errors, events and logs. Default "memory".
	Name string
	// Limit in bytes. Default DefaultLimit.
	Limit int64
	// Thresholds of the levels, for every manager of the tree.
	Thresholds Thresholds
	// CleanupInterval is how often idle and expired resources are looked for.
	// Default DefaultCleanupInterval.
	CleanupInterval time.Duration
	// DisableAutoCleanup leaves cleaning up to calls of Cleanup.
	DisableAutoCleanup bool
	// GCCallback is called after collections of the Go heap, those of the
	// runtime included. Collections that follow each other within a tenth of
	// a second share one call. It must not call Close, which waits for it.
	GCCallback func(GCInfo)
	// Tracking says how much is remembered about each resource.
	Tracking Tracking
	// Guard makes a use after release stop at the guilty line: each buffer has
	// addresses of its own, which are never used again and can't be accessed
	// once it is released. For tests: it costs several system calls a buffer.
	// The environment variable STREAMFLOW_MEMORY_GUARD=1 has the same effect.
	Guard bool
	// Logger gets leaks, what Debug asks for, and the levels that managers enter, each
	// at most every ten seconds. Default: none.
	Logger *slog.Logger
}

// Thresholds are fractions of the limit, 0 < Warning < Critical ≤ 1.
type Thresholds struct {
	Warning  float64 // default DefaultWarning
	Critical float64 // default DefaultCritical
}

// Tracking says how much is remembered about each resource. Type, size and
// creation time always are.
type Tracking struct {
	// Disabled remembers nothing more, not even a sample of stacks.
	Disabled bool
	// Detailed takes the stack of every allocation, not of a sample.
	Detailed bool
	// Metadata keeps what TrackOptions.Metadata says.
	Metadata bool
}

// ChildOptions of a manager below another.
type ChildOptions struct {
	// Limit in bytes. Default: the parent's.
	Limit int64
	// Guarantee in bytes is set aside for this manager: requests up to it
	// never wait for others.
	Guarantee int64
}

func (o *Options) withDefaults() (Options, error) {
	var opts Options
	if o != nil {
		opts = *o
	}
	setDefault(&opts.Name, "memory")
	setDefault(&opts.Limit, DefaultLimit)
	setDefault(&opts.Thresholds.Warning, DefaultWarning)
	setDefault(&opts.Thresholds.Critical, math.Max(DefaultCritical, opts.Thresholds.Warning))
	setDefault(&opts.CleanupInterval, DefaultCleanupInterval)
	setDefault(&opts.Logger, slog.New(slog.DiscardHandler))
	return opts, opts.validate()
}

func (o *Options) validate() error {
	switch t := o.Thresholds; {
	case o.Limit < minSlotBytes:
		return fmt.Errorf("memory: %w option Limit %d: the smallest is %d", ErrInvalid, o.Limit, minSlotBytes)
	case !(t.Warning > 0 && t.Warning <= t.Critical && t.Critical <= 1): // also catches NaN
		return fmt.Errorf("memory: %w option Thresholds %v, %v: want 0 < Warning ≤ Critical ≤ 1", ErrInvalid, t.Warning, t.Critical)
	case o.CleanupInterval < 0:
		return fmt.Errorf("memory: %w option CleanupInterval %v: want more than 0", ErrInvalid, o.CleanupInterval)
	}
	return nil
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}
