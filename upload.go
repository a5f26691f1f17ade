package streamflow

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/streamflow/streamflow/memory"
)

// errPaused is the cause with which Pause ends an attempt.
var errPaused = errors.New("upload was paused")

// An Upload is one source on its way to the destination.
type Upload struct {
	m         *Manager
	src       *Source
	mem       *memory.Manager
	birth     uint64 // rises from upload to upload
	counters  counters
	meter     meter
	ctx       context.Context // from Upload until done
	cancel    context.CancelCauseFunc
	done      chan struct{} // closed when run has ended
	discarder chan struct{} // holds the token of who may discard

	// The rest down to mu belongs to run. Its Writes may read it.
	transfer

	mu      sync.Mutex
	name    string
	state   State
	id      string
	result  Result
	unpause chan struct{}           // not nil while paused, closed by Resume
	cut     context.CancelCauseFunc // of the attempt under way, or nil
}

func newUpload(ctx context.Context, m *Manager, src *Source, mem *memory.Manager) *Upload {
	ctx, cancel := context.WithCancelCause(ctx)
	u := &Upload{
		m: m, src: src, mem: mem, ctx: ctx, cancel: cancel,
		done:      make(chan struct{}),
		discarder: make(chan struct{}, 1),
		name:      src.name,
		state:     State{Total: src.Size()},
		transfer:  transfer{object: asItIs(src)},
	}
	u.discarder <- struct{}{}
	return u
}

// Name returns the object's name. It may have got the extension of an [Encoder]
// by the time that bytes move.
func (u *Upload) Name() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.name
}

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
	return u.snapshot()
}

// snapshot is called with mu held.
func (u *Upload) snapshot() State {
	s := u.state
	s.Bytes = u.counters.bytes.Load()
	return s
}

// Pause stops the upload until Resume. It does not wait: what is under way is
// cut, and what of it was not acknowledged will be sent again. An upload about
// to finish may finish all the same.
func (u *Upload) Pause() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Status.ended() || u.unpause != nil {
		return
	}
	u.unpause = make(chan struct{})
	u.setStatus(Paused)
	if u.cut != nil {
		u.cut(errPaused)
	}
}

// Resume lets a paused upload go on.
func (u *Upload) Resume() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Status.ended() || u.unpause == nil {
		return
	}
	close(u.unpause)
	u.unpause = nil
	u.setStatus(Waiting)
}

// Abort ends the upload, discards what is at the destination and forgets the
// upload in the journal. It may be called at any time, also when the upload has
// failed, and again after an error. Once the upload is finished, it is an error
// that is [ErrFinished].
func (u *Upload) Abort(ctx context.Context) error {
	u.cancel(ErrAborted)
	select {
	case <-u.done:
	case <-ctx.Done():
		return fmt.Errorf("abort %s: %w", u.Name(), context.Cause(ctx))
	}
	if u.State().Status == Finished {
		return fmt.Errorf("abort %s: %w", u.Name(), ErrFinished)
	}
	select {
	case <-u.discarder:
		defer func() { u.discarder <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("abort %s: %w", u.Name(), context.Cause(ctx))
	}
	if err := u.discard(ctx); err != nil {
		return fmt.Errorf("abort %s: %w", u.Name(), err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Status != Aborted {
		u.setStatus(Aborted)
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
	if u.state.Status == Finished {
		return u.result, nil
	}
	return u.result, u.state.Err
}

// setStatus is called with mu held, so that changes are published in order.
func (u *Upload) setStatus(s Status) {
	u.state.Status = s
	u.m.publishState(u, u.snapshot())
}

// began notes that bytes are about to move.
func (u *Upload) began() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.state.Status == Waiting {
		u.setStatus(Uploading)
	}
}

// admit waits until a unit of a file may begin.
func (u *Upload) admit(ctx context.Context) error {
	if _, err := u.admission.take(ctx); err != nil {
		return err
	}
	u.began()
	return nil
}

func (u *Upload) setTotal(n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Total = n
}

// setObject notes what becomes of the source.
func (u *Upload) setObject(o object) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.name, u.state.Total, u.state.Encoded = o.name, o.length, o.encoded
}

func (u *Upload) setID(id string, resumed int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.id, u.state.Resumed = id, resumed
}

func (u *Upload) setDiscarded() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Discarded = true
}

// failedAttempt notes an attempt that will be repeated.
func (u *Upload) failedAttempt(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.state.Retries++
	u.state.Err = err
	u.m.publishState(u, u.snapshot())
}

// beginAttempt waits while the upload is paused and returns a context for one
// attempt, which Pause ends.
func (u *Upload) beginAttempt() (context.Context, context.CancelCauseFunc, error) {
	for {
		u.mu.Lock()
		resumed := u.unpause
		if resumed == nil && u.ctx.Err() == nil {
			ctx, cancel := context.WithCancelCause(u.ctx)
			u.cut = cancel
			u.mu.Unlock()
			return ctx, cancel, nil
		}
		u.mu.Unlock()
		select {
		case <-u.ctx.Done():
			return nil, nil, context.Cause(u.ctx)
		case <-resumed:
		}
	}
}

// acknowledge notes that the destination has everything before off.
func (u *Upload) acknowledge(off int64) { u.acked.Store(off) }

// acknowledgeMore notes that it has n more bytes, somewhere.
func (u *Upload) acknowledgeMore(n int64) { u.acked.Add(n) }
