// Package memory is a placeholder with the final API; the implementation replaces it.
package memory

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"
)

type (
	// Kind is what a resource is for: "chunk", "connection".
	Kind string
	// ID names a tracked resource.
	ID uint64
	// Level of pressure.
	Level int
)

const (
	KindChunk      Kind = "chunk"
	KindConnection Kind = "connection"
	KindTransfer   Kind = "transfer" // copy buffers
)

const (
	Normal Level = iota
	Warning
	Critical
)

func (l Level) String() string { return [...]string{"normal", "warning", "critical"}[l] }

// DefaultLimit is 100 MiB.
const DefaultLimit = 100 << 20

type Options struct {
	Name               string
	Limit              int64 // default DefaultLimit
	Thresholds         Thresholds
	CleanupInterval    time.Duration // default 30 s
	DisableAutoCleanup bool
	GCCallback         func(GCInfo)
	Tracking           Tracking
	Guard              bool
	Logger             *slog.Logger
}

type Thresholds struct{ Warning, Critical float64 } // 0.7, 0.9

type Tracking struct{ Disabled, Detailed, Metadata bool }

type GCInfo struct {
	Count uint32
	Time  time.Time
	Pause time.Duration
}

type ChildOptions struct {
	Limit     int64 // 0: the parent's
	Guarantee int64
}

type TrackOptions struct {
	Metadata    map[string]any
	ExpireAfter time.Duration
	OnRelease   func()
}

type DebugOptions struct{ Tracking, Verbose bool }

type Freed struct {
	Cached, Expired, Unreachable, Hooks, Collected int64 // bytes
}

type KindStats struct{ Active, Bytes int64 }

type Stats struct {
	Limit, Allocated, Cached, Peak  int64 // bytes
	Active                          int64
	Level                           Level
	Waiters                         int
	Refusals, Leaks, LeakedBytes    int64
	RetiredBytes                    int64
	LastGC                          time.Time
	Kinds                           map[Kind]KindStats
	BufferGets, BufferMisses, Waits int64
	WaitTime                        time.Duration
	// Process is set for the root manager of a Process.
	Process *ProcessStats
}

type ProcessStats struct{ Budget, Runtime, RSS, PeakRSS int64 }

var (
	ErrClosed   = errors.New("memory manager is closed")
	ErrReleased = errors.New("already released")
	ErrUnknown  = errors.New("unknown resource")
	ErrLimit    = errors.New("does not fit the memory limit")
)

// LimitError says a request can never fit. errors.Is(err, ErrLimit).
type LimitError struct {
	Manager                         string
	Limit, Requested, InUse, Needed int64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("memory: %s needs %d bytes of a limit of %d (in use %d): the smallest limit that would do is %d", e.Manager, e.Requested, e.Limit, e.InUse, e.Needed)
}
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

type Event interface{ event() }

// LevelChange: From < To is a warning or critical event.
type LevelChange struct {
	From, To         Level
	Usage, Threshold float64
	Used, Limit      int64
	Count            uint64 // crossings into To so far, also those this subscriber was too slow to see
	Time             time.Time
}

// Leak: a resource became unreachable unreleased.
type Leak struct {
	Kind     Kind
	Size     int64
	Age      time.Duration
	Metadata map[string]any
	Stack    string
	Count    uint64
}

func (LevelChange) event() {}
func (Leak) event()        {}

type Subscription struct{}

func (s *Subscription) Events(ctx context.Context) iter.Seq[Event] {
	return func(func(Event) bool) { <-ctx.Done() }
}
func (s *Subscription) Close() {}

type Manager struct {
	mu    sync.Mutex
	limit int64
	used  int64
}

func New(o *Options) (*Manager, error) {
	m := &Manager{limit: DefaultLimit}
	if o != nil && o.Limit != 0 {
		m.limit = o.Limit
	}
	return m, nil
}

func (m *Manager) Child(name string, o *ChildOptions) (*Manager, error) { return m, nil }

// Acquire waits for room, in order; fails at once with *LimitError where n can never fit.
func (m *Manager) Acquire(ctx context.Context, kind Kind, n int) (Buffer, error) {
	if int64(n) > m.limit {
		return Buffer{}, &LimitError{"memory", m.limit, int64(n), m.used, int64(n)}
	}
	return Buffer{make([]byte, n)}, nil
}

// TryAcquire doesn't wait: a *LimitError where there is no room now.
func (m *Manager) TryAcquire(kind Kind, n int) (Buffer, error) {
	return m.Acquire(context.Background(), kind, n)
}

func (m *Manager) Reserve(ctx context.Context, kind Kind, n int64) (*Reservation, error) {
	if n > m.limit {
		return nil, &LimitError{"memory", m.limit, n, m.used, n}
	}
	return &Reservation{m, n}, nil
}

func Track[T any](m *Manager, v *T, kind Kind, size int64, o *TrackOptions) (ID, error) {
	return 1, nil
}

func (m *Manager) Release(id ID) error                  { return nil }
func (m *Manager) OnBeforeGC(fn func()) (remove func()) { return func() {} }
func (m *Manager) OnCleanup(priority int, fn func(context.Context) int64) (remove func()) {
	return func() {}
}
func (m *Manager) Cleanup(ctx context.Context) (Freed, error) { return Freed{}, nil }
func (m *Manager) Debug(DebugOptions)                         {}
func (m *Manager) Stats() Stats                               { return Stats{Limit: m.limit} }
func (m *Manager) Subscribe() *Subscription                   { return &Subscription{} }
func (m *Manager) Level() Level                               { return Normal }
func (m *Manager) Limit() int64                               { return m.limit }
func (m *Manager) SetLimit(n int64) error                     { m.limit = n; return nil }
func (m *Manager) Close() error                               { return nil }

// Buffer is a value; copies share one release.
type Buffer struct{ b []byte }

func (b Buffer) Bytes() []byte  { return b.b }
func (b Buffer) Release() error { return nil }

// Reservation is room for one unit of work, taken in one step.
type Reservation struct {
	m    *Manager
	left int64
}

// Acquire takes a buffer out of the reservation; it never waits.
func (r *Reservation) Acquire(kind Kind, n int) (Buffer, error) {
	return Buffer{make([]byte, n)}, nil
}
func (r *Reservation) Release() error { return nil }

// Process holds one process to a budget as the operating system measures it.
type Process struct{ m *Manager }

// OpenProcess: opts.Limit is the budget of the whole process. Sets the Go runtime's memory limit.
func OpenProcess(o *Options) (*Process, error) { m, err := New(o); return &Process{m}, err }

// Manager is the root; its limit is the budget less the runtime's share.
func (p *Process) Manager() *Manager { return p.m }

// MinBudget that would let the manager hand out n bytes.
func (p *Process) BudgetFor(n int64) int64 { return n + 20<<20 }
func (p *Process) Close() error            { return nil }
