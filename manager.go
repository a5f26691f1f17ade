// Package streamflow uploads files and streams of any size inside a memory
// budget.
//
// A [Manager] sends to one destination, a [store.Store]. It reads files where
// they lie and holds streams one unit at a time, retries what may pass, goes on
// after a crash where a journal is kept, and narrows when memory gets tight.
//
//	dst, err := tusstore.Open("https://example.com/files/", nil, nil)
//	m, err := streamflow.New(dst, nil)
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

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// A Manager uploads to one destination. Several uploads may be under way.
type Manager struct {
	dst    store.Store
	opts   Options
	mem    *memory.Manager
	ownMem bool
	wg     sync.WaitGroup // uploads under way

	mu      sync.Mutex
	closed  bool
	uploads map[*Upload]struct{}
	subs    []*Subscription
	changes uint64 // state changes published so far
}

// New returns a Manager that uploads to dst. A nil opts means defaults; an
// error names the option that is out of range.
func New(dst store.Store, opts *Options) (*Manager, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{dst: dst, opts: o, mem: o.Memory, uploads: map[*Upload]struct{}{}}
	if m.mem == nil {
		if m.mem, err = memory.New(nil); err != nil {
			return nil, fmt.Errorf("make the memory manager: %w", err)
		}
		m.ownMem = true
	}
	return m, nil
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
// journal is kept, a stream's is discarded. Upload takes over src and closes
// it, also when it returns an error: [ErrClosed], or [ErrBusy] where the
// journal knows the same upload to be under way.
func (m *Manager) Upload(ctx context.Context, src *Source) (*Upload, error) {
	u := newUpload(ctx, m, src)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errors.Join(ErrClosed, src.Close())
	}
	m.uploads[u] = struct{}{}
	m.wg.Go(u.run)
	return u, nil
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
	m.mu.Lock()
	first := !m.closed
	m.closed = true
	for u := range m.uploads {
		u.cancel(ErrClosed)
	}
	m.mu.Unlock()
	m.wg.Wait()
	if !first {
		return nil
	}
	m.mu.Lock()
	subs := m.subs
	m.subs = nil
	m.mu.Unlock()
	for _, s := range subs {
		s.end()
	}
	if m.ownMem {
		return m.mem.Close()
	}
	return nil
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
