// Package streamflow uploads files and streams of any size inside a memory
// budget.
//
// A [Manager] sends to one destination, a [store.Store]. It reads files where
// they lie and holds streams one unit at a time, retries what may pass, goes on
// after a crash where a journal is kept, and narrows when memory gets tight.
//
//	mem, err := memory.New(nil)
//	dst, err := tusstore.Open("https://example.com/files/", mem, nil)
//	m, err := streamflow.New(dst, &streamflow.Options{Memory: mem})
//	defer m.Close()
//	u, err := m.UploadFile(ctx, "disk.iso")
//	result, err := u.Wait(ctx)
//
// All types are safe for concurrent use, except where they say otherwise.
package streamflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/time/rate"

	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// A Manager uploads to one destination. Several uploads may be under way.
type Manager struct {
	dst      store.Store
	opts     Options
	mem      *memory.Manager
	ownMem   bool
	units    *memory.Manager  // child of mem that the uploads are children of
	encoders *memory.Manager  // child of units, or nil
	journal  *journal.Journal // or nil
	gate     *gate
	limiter  *rate.Limiter   // or nil
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	wg       sync.WaitGroup // every goroutine
	once     sync.Once      // of Close
	held     error          // what Close found
	plain    sync.Once      // of the warning that nothing is compressed
	forgets  sync.Once      // of the warning that the journal can't be used

	mu       sync.Mutex
	closed   bool
	uploads  map[*Upload]struct{} // under way
	births   uint64               // uploads so far
	metering bool                 // meterAll runs
	subs     []*Subscription
	changes  uint64 // state changes published so far
}

// New returns a Manager that uploads to dst. A nil opts means defaults; an
// error names the option that is out of range.
func New(dst store.Store, opts *Options) (*Manager, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if _, ok := dst.(store.Finder); o.SkipIdentical && !ok {
		return nil, fmt.Errorf("Options.SkipIdentical: %w: it doesn't know what it has by name", store.ErrUnsupported)
	}
	if o.SkipIdentical && len(o.Encoders) > 0 {
		return nil, fmt.Errorf("Options.SkipIdentical: %w with Options.Encoders: what they make of a file isn't known before", store.ErrUnsupported)
	}
	if o.Compression != store.Uncompressed && !dst.Limits().Compressed {
		return nil, fmt.Errorf("Options.Compression: %w: the destination keeps bytes as they come", store.ErrUnsupported)
	}
	m := &Manager{
		dst: dst, opts: o, mem: o.Memory, limiter: newLimiter(o.RateLimit), uploads: map[*Upload]struct{}{},
	}
	if o.StateDir != "" {
		if m.journal, err = journal.Open(o.StateDir); err != nil {
			return nil, err
		}
	}
	if err := m.openMemory(); err != nil {
		return nil, errors.Join(err, m.closeJournal())
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.gate = newGate(m.mem)
	events := m.mem.Subscribe()
	m.wg.Go(func() {
		defer events.Close()
		for e := range events.Events(m.ctx) {
			if _, ok := e.(memory.LevelChange); ok {
				m.gate.broadcast()
			}
			m.publish(Memory{e})
		}
	})
	return m, nil
}

func (m *Manager) openMemory() (err error) {
	if m.mem == nil {
		if m.mem, err = memory.New(nil); err != nil {
			return fmt.Errorf("make the memory manager: %w", err)
		}
		m.ownMem = true
	}
	m.units, err = m.mem.Child("uploads", &memory.ChildOptions{Limit: unitsLimit(m.mem.Limit())})
	if err != nil {
		return fmt.Errorf("make the memory manager of the uploads: %w", err)
	}
	if len(m.opts.Encoders) > 0 {
		m.encoders, err = m.units.Child("encoders", &memory.ChildOptions{Limit: m.encodersLimit()})
	}
	if err != nil {
		return fmt.Errorf("make the memory manager of the encoders: %w", errors.Join(err, m.units.Close()))
	}
	return nil
}

// UploadFile begins the upload of the file at path. It is OpenFile and Upload.
func (m *Manager) UploadFile(ctx context.Context, path string) (*Upload, error) {
	src, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	return m.Upload(ctx, src)
}

// Upload begins an upload, which goes on until Wait says how it ended. When ctx
// ends, the upload ends too; a file's can be resumed by a later one where a
// journal is kept, all others are discarded. Upload takes over src and closes
// it, also when it returns an error: [ErrClosed], or [ErrBusy] where the
// journal knows the same upload to be under way.
func (m *Manager) Upload(ctx context.Context, src *Source) (*Upload, error) {
	u, err := m.begin(ctx, src)
	if err != nil {
		return nil, fmt.Errorf("upload %s: %w", src.name, errors.Join(err, src.Close()))
	}
	return u, nil
}

func (m *Manager) begin(ctx context.Context, src *Source) (*Upload, error) {
	// The budget's limit may have been changed.
	if err := m.setLimits(); err != nil {
		return nil, err
	}
	mem, err := m.units.Child(src.name, nil)
	if errors.Is(err, memory.ErrClosed) {
		return nil, ErrClosed
	}
	if err != nil {
		return nil, err
	}
	u := newUpload(ctx, m, src, mem)
	if err := u.take(); err != nil {
		u.cancel(err) // or ctx would keep u
		return nil, errors.Join(err, mem.Close())
	}
	if !m.start(u) {
		u.cancel(ErrClosed)
		u.closeEntry()
		return nil, errors.Join(ErrClosed, mem.Close())
	}
	return u, nil
}

// start gives the upload its goroutine, unless the Manager is closed.
func (m *Manager) start(u *Upload) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.births++
	u.birth = m.births
	m.uploads[u] = struct{}{}
	if !m.metering {
		m.metering = true
		m.wg.Go(m.meterAll)
	}
	m.wg.Go(u.run)
	return true
}

// Memory returns the budget.
func (m *Manager) Memory() *memory.Manager { return m.mem }

// MemoryStats says what of the budget is in use.
func (m *Manager) MemoryStats() memory.Stats { return m.mem.Stats() }

// Subscribe returns a new subscription to the events of all uploads and of the
// budget. Close it when done.
func (m *Manager) Subscribe() *Subscription {
	s := newSubscription(m)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		s.closed = true
		return s
	}
	m.subs = append(m.subs, s)
	return s
}

// Close ends the uploads under way, resumable where they would be after their
// context ended, and waits for them. It returns what was still held of the
// budget. It may be called again.
func (m *Manager) Close() error {
	m.once.Do(func() { m.held = m.close() })
	return m.held
}

func (m *Manager) close() error {
	m.mu.Lock()
	m.closed = true
	for u := range m.uploads {
		u.cancel(ErrClosed)
	}
	m.mu.Unlock()
	m.cancel()
	m.wg.Wait()
	m.mu.Lock()
	subs := m.subs
	m.subs = nil
	m.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
	var err error
	if m.encoders != nil {
		err = m.encoders.Close()
	}
	err = errors.Join(err, m.units.Close())
	if m.ownMem {
		err = errors.Join(err, m.mem.Close())
	}
	return errors.Join(err, m.closeJournal())
}

func (m *Manager) closeJournal() error {
	if m.journal == nil {
		return nil
	}
	return m.journal.Close()
}

// publish hands an event to every subscription.
func (m *Manager) publish(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.subs {
		s.publish(e)
	}
}

func (m *Manager) publishState(u *Upload, s State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	for _, sub := range m.subs {
		sub.publish(StateChange{Upload: u, State: s, Count: m.changes})
	}
}

func (m *Manager) unsubscribe(s *Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.subs, s); i >= 0 {
		m.subs = slices.Delete(m.subs, i, i+1)
	}
}

// forget is the last thing an upload does.
func (m *Manager) forget(u *Upload) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.uploads, u)
}
