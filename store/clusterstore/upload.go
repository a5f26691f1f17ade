package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"weak"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

// An Upload is an object on its way into a [Store].
type Upload struct {
	store *Store
	id    string
	// taken ends when the upload is opened anew, with store.ErrSuperseded, or
	// aborted, with store.ErrNotFound.
	taken context.Context
	take  context.CancelCauseFunc

	// turn holds a token while a call changes the upload. Whoever has put it there
	// may use record.
	turn   chan struct{}
	record record // without a state where it was too large to be kept
	owned  bool   // by this process, since it was created or opened

	mu     sync.Mutex
	writes int // under way
}

var (
	_ store.Upload   = (*Upload)(nil)
	_ store.Verifier = (*Upload)(nil)
)

// keptStateBytes is the most that an Upload keeps of a state between calls.
const keptStateBytes = 32 << 10

func (s *Store) upload(id string, rec record) *Upload {
	u := &Upload{store: s, id: id, turn: make(chan struct{}, 1)}
	u.taken, u.take = context.WithCancelCause(context.Background())
	u.keep(rec)
	return u
}

func (u *Upload) keep(rec record) {
	u.record = rec
	if rec.bytes > keptStateBytes {
		u.record.state = nil
	}
}

// register makes u the Upload that a later Open ends.
func (s *Store) register(u *Upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[u.id] = weak.Make(u)
	runtime.AddCleanup(u, s.forget, u.id)
}

// forget runs after the last use of an Upload that nobody has any more.
func (s *Store) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id].Value() == nil {
		delete(s.open, id)
	}
}

// supersede ends the Upload that was opened before. It doesn't wait for a Write
// of it, which may hang in its source: then what that does isn't known.
func (s *Store) supersede(id string) {
	s.mu.Lock()
	old := s.open[id].Value()
	s.mu.Unlock()
	if old == nil {
		return
	}
	old.take(store.ErrSuperseded)
	old.mu.Lock()
	defer old.mu.Unlock()
	if old.writes > 0 {
		s.doubts.note(id)
	}
}

// Open implements store.Store.
func (s *Store) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	u, info, err := s.takeOver(ctx, id)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("open upload %.40s: %w", id, outward(err))
	}
	return u, info, nil
}

func (s *Store) takeOver(ctx context.Context, id string) (*Upload, store.Info, error) {
	if err := ctx.Err(); err != nil {
		return nil, store.Info{}, err
	}
	s.supersede(id)
	for try := 1; ; try++ {
		rec, err := s.load(ctx, id)
		if err != nil {
			return nil, store.Info{}, err
		}
		u := s.upload(id, rec)
		if err = u.own(ctx); err == nil {
			u.owned = true
			s.register(u)
			return u, s.info(id, rec.state), nil
		}
		// Somebody else wrote meanwhile: it is theirs, but this is newer. Or finished
		// it, and the state is another one.
		if !errors.Is(err, store.ErrSuperseded) && !isAbsent(err) || try == attempts {
			return nil, store.Info{}, err
		}
	}
}

// own begins a new epoch where the upload isn't this process's, or it doesn't
// know what its own requests did. It needs the turn, or that nobody has u yet.
func (u *Upload) own(ctx context.Context) error {
	s := u.store
	st, err := u.state(ctx)
	if err != nil || st.Sum != nil || (st.Node == s.node && !s.doubts.has(u.id)) {
		return err
	}
	charge, err := s.reserveSend(ctx, u.record.bytes)
	if err != nil {
		return err
	}
	defer func() { _ = charge.Release() }()
	next := st.clone()
	next.Epoch++
	next.freeze()
	if err := u.commit(ctx, next); err != nil {
		return err
	}
	s.doubts.forget(u.id)
	return nil
}

// state returns what u knows last. It needs the turn.
func (u *Upload) state(ctx context.Context) (*state, error) {
	if u.record.state != nil {
		return u.record.state, nil
	}
	rec, err := u.store.load(ctx, u.id)
	switch {
	case err != nil:
		return nil, err
	case u.record.etag != "" && rec.etag != u.record.etag, u.owned && rec.state.Node != u.store.node:
		u.take(store.ErrSuperseded)
		return nil, store.ErrSuperseded
	}
	u.record = rec
	return rec.state, nil
}

// commit writes the next state. It needs the turn, and the memory for it.
func (u *Upload) commit(ctx context.Context, next *state) error {
	if u.taken.Err() != nil {
		return context.Cause(u.taken)
	}
	rec, err := u.store.write(ctx, u.store.uploadKey(u.id), next, bucket.Precondition(u.record.etag))
	switch {
	case err == nil:
		u.record = rec
		return nil
	case errors.Is(err, store.ErrSuperseded):
		u.take(store.ErrSuperseded)
	case isUnsure(err):
		u.store.doubts.note(u.id)
		u.record = record{} // either may be there
	}
	return err
}

// begin takes the turn, unless the upload was taken over. It is given back by end.
func (u *Upload) begin(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case u.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if u.taken.Err() != nil {
		<-u.turn
		return context.Cause(u.taken)
	}
	return nil
}

func (u *Upload) end() {
	u.keep(u.record)
	<-u.turn
}

// Info implements store.Upload.
func (u *Upload) Info(ctx context.Context) (store.Info, error) {
	u.mu.Lock()
	writing := u.writes > 0
	u.mu.Unlock()
	if !writing {
		return u.store.Stat(ctx, u.id)
	}
	// It may be that Write which asks, and it holds memory that others wait for.
	rec, err := u.store.loadNow(ctx, u.id)
	return u.store.stat(u.id, rec, err)
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, id string) (store.Info, error) {
	rec, err := s.load(ctx, id)
	return s.stat(id, rec, err)
}

func (s *Store) stat(id string, rec record, err error) (store.Info, error) {
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload %.40s: %w", id, outward(err))
	}
	return s.info(id, rec.state), nil
}

// SetLength implements store.Upload.
func (u *Upload) SetLength(ctx context.Context, length int64) error {
	if err := u.setLength(ctx, length); err != nil {
		return fmt.Errorf("set length of upload %s to %d: %w", u.id, length, outward(err))
	}
	return nil
}

func (u *Upload) setLength(ctx context.Context, length int64) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.end()
	if err := u.own(ctx); err != nil {
		return err
	}
	st, err := u.state(ctx)
	switch {
	case err != nil:
		return err
	case st.Length == length && length >= 0:
		return nil
	case st.Length != store.UnknownLength:
		return fmt.Errorf("%w: it is %d already", store.ErrInvalid, st.Length)
	case length < st.offset():
		return fmt.Errorf("%w: %d bytes are written", store.ErrInvalid, st.offset())
	case length > u.store.opts.MaxLength:
		return fmt.Errorf("%w: %d at most", store.ErrTooLarge, u.store.opts.MaxLength)
	}
	charge, err := u.store.reserveSend(ctx, u.record.bytes)
	if err != nil {
		return err
	}
	defer func() { _ = charge.Release() }()
	next := st.clone()
	next.Length = length
	return u.commit(ctx, next)
}
