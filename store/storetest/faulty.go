package storetest

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/streamflow/streamflow/store"
)

// Op is a call of a store or an upload.
type Op string

// The calls a Fault can hit.
const (
	OpConcat    Op = "concatenate"
	OpCreate    Op = "create"
	OpList      Op = "list" // the beginning of a walk
	OpOpen      Op = "open"
	OpFind      Op = "find"
	OpRead      Op = "read" // opening a reader
	OpStat      Op = "stat"
	OpInfo      Op = "info"
	OpSetLength Op = "set length"
	OpWrite     Op = "write"
	OpFinish    Op = "finish"
	OpAbort     Op = "abort"
)

// Effect is what a Fault does to a call.
type Effect int

const (
	// Fail returns the fault's error. The call does nothing, but a Write stores
	// its first After bytes.
	Fail Effect = iota
	// Lost does the call whole and then returns the fault's error, as when the
	// answer is lost on the way.
	Lost
	// Hang does as Fail, but returns only when the context has ended, with its
	// error.
	Hang
	// Short lets a Write store its first After bytes, and returns their number
	// without an error. It is for Writes of a known size only.
	Short
	// Die does as Fail, and all later calls fail with a transient [ErrDead]
	// until [Faulty.Revive]. It ends the Writes under way too.
	Die
)

// What a faulty store fails with, where a Fault doesn't say.
var (
	ErrInjected = errors.New("injected fault")
	ErrDead     = errors.New("the store is dead")
)

// A Fault hits the Call-th call of an Op, counted from 1 over all uploads of
// the store, and the Times-1 calls after it.
type Fault struct {
	Op     Op
	Call   int
	Times  int // 0 is 1; negative is for ever
	Effect Effect
	After  int64 // bytes of a Write
	// Err is returned by Fail, Lost and Die. Default: ErrInjected and ErrDead,
	// both transient. An error that is not a *store.TransientError is permanent.
	Err error
}

func (f Fault) hits(op Op, call int) bool {
	return f.Op == op && call >= f.Call && (f.Times < 0 || call < f.Call+max(f.Times, 1))
}

// Faulty is a store that does what the one inside does, but for its faults. It
// is safe for concurrent use.
type Faulty struct {
	inner store.Store

	mu    sync.Mutex
	plan  []Fault
	calls map[Op]int
	dead  chan struct{} // closed while the store is dead
}

// NewFaulty wraps a store. Where several faults hit a call, the first does.
func NewFaulty(inner store.Store, plan ...Fault) *Faulty {
	return &Faulty{inner: inner, plan: plan, calls: make(map[Op]int), dead: make(chan struct{})}
}

// Add plans one more fault; its Call counts from the beginning.
func (f *Faulty) Add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = append(f.plan, fault)
}

// Kill makes the store dead now.
func (f *Faulty) Kill() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isDead() {
		close(f.dead)
	}
}

// Revive ends the death of the store.
func (f *Faulty) Revive() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isDead() {
		f.dead = make(chan struct{})
	}
}

// isDead is for holders of mu.
func (f *Faulty) isDead() bool {
	select {
	case <-f.dead:
		return true
	default:
		return false
	}
}

// Calls returns how many calls of op there were, faulty or not.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// enter counts a call and says what is to happen to it. A nil fault means
// nothing; err means the store is dead already.
func (f *Faulty) enter(op Op) (fault *Fault, dead <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	if f.isDead() {
		return nil, f.dead, store.Transient(ErrDead)
	}
	for _, planned := range f.plan {
		if !planned.hits(op, f.calls[op]) {
			continue
		}
		if planned.Err == nil && planned.Effect == Die {
			planned.Err = store.Transient(ErrDead)
		}
		if planned.Err == nil {
			planned.Err = store.Transient(ErrInjected)
		}
		return &planned, f.dead, nil
	}
	return nil, f.dead, nil
}

// call does op by do, or what the plan says.
func (f *Faulty) call(ctx context.Context, op Op, do func() error) error {
	fault, _, err := f.enter(op)
	if err != nil {
		return err
	}
	if fault == nil {
		return do()
	}
	switch fault.Effect {
	case Lost:
		if err := do(); err != nil {
			return err
		}
	case Hang:
		<-ctx.Done()
		return ctx.Err()
	case Die:
		f.Kill()
	case Short:
		return do()
	}
	return fault.Err
}

// Limits implements [store.Store].
func (f *Faulty) Limits() store.Limits { return f.inner.Limits() }

// Create implements [store.Store].
func (f *Faulty) Create(ctx context.Context, spec store.Spec) (u store.Upload, info store.Info, err error) {
	err = f.call(ctx, OpCreate, func() (err error) {
		u, info, err = f.inner.Create(ctx, spec)
		return err
	})
	return f.wrap(u, info, err)
}

// Open implements [store.Store].
func (f *Faulty) Open(ctx context.Context, id string) (u store.Upload, info store.Info, err error) {
	err = f.call(ctx, OpOpen, func() (err error) {
		u, info, err = f.inner.Open(ctx, id)
		return err
	})
	return f.wrap(u, info, err)
}

// Stat implements [store.Store].
func (f *Faulty) Stat(ctx context.Context, id string) (info store.Info, err error) {
	err = f.call(ctx, OpStat, func() (err error) {
		info, err = f.inner.Stat(ctx, id)
		return err
	})
	return known(info, err)
}

// Concatenate implements [store.Concatenator] where the store inside does;
// elsewhere it is store.ErrUnsupported, as are the other capabilities.
func (f *Faulty) Concatenate(ctx context.Context, spec store.Spec, ids []string) (u store.Upload, info store.Info, err error) {
	c, ok := f.inner.(store.Concatenator)
	if !ok {
		return nil, store.Info{}, store.ErrUnsupported
	}
	err = f.call(ctx, OpConcat, func() (err error) {
		u, info, err = c.Concatenate(ctx, spec, ids)
		return err
	})
	return f.wrap(u, info, err)
}

// Unfinished implements [store.Lister]. A fault ends the walk at once.
func (f *Faulty) Unfinished(ctx context.Context, before time.Time) iter.Seq2[store.Info, error] {
	return f.list(ctx, before, store.Lister.Unfinished)
}

// Finished implements [store.Lister], as Unfinished does.
func (f *Faulty) Finished(ctx context.Context, before time.Time) iter.Seq2[store.Info, error] {
	return f.list(ctx, before, store.Lister.Finished)
}

type walk func(l store.Lister, ctx context.Context, before time.Time) iter.Seq2[store.Info, error]

func (f *Faulty) list(ctx context.Context, before time.Time, listed walk) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		l, ok := f.inner.(store.Lister)
		if !ok {
			yield(store.Info{}, store.ErrUnsupported)
			return
		}
		if err := f.call(ctx, OpList, func() error { return nil }); err != nil {
			yield(store.Info{}, err)
			return
		}
		listed(l, ctx, before)(yield)
	}
}

// Find implements [store.Finder].
func (f *Faulty) Find(ctx context.Context, name string, length int64) (info store.Info, err error) {
	inner, ok := f.inner.(store.Finder)
	if !ok {
		return store.Info{}, store.ErrUnsupported
	}
	err = f.call(ctx, OpFind, func() (err error) {
		info, err = inner.Find(ctx, name, length)
		return err
	})
	return known(info, err)
}

// OpenReader implements [store.Reader]. What is open survives the store's death.
func (f *Faulty) OpenReader(ctx context.Context, id string) (r io.ReadSeekCloser, info store.Info, err error) {
	inner, ok := f.inner.(store.Reader)
	if !ok {
		return nil, store.Info{}, store.ErrUnsupported
	}
	err = f.call(ctx, OpRead, func() (err error) {
		r, info, err = inner.OpenReader(ctx, id)
		return err
	})
	if err != nil && r != nil { // the answer is lost
		return nil, store.Info{}, errors.Join(err, r.Close())
	}
	return r, info, err
}

func (f *Faulty) wrap(u store.Upload, info store.Info, err error) (store.Upload, store.Info, error) {
	if err != nil {
		return nil, store.Info{}, err
	}
	return &faultyUpload{f, u}, info, nil
}

// known returns no info beside an error, as stores do.
func known(info store.Info, err error) (store.Info, error) {
	if err != nil {
		return store.Info{}, err
	}
	return info, nil
}

type faultyUpload struct {
	faulty *Faulty
	inner  store.Upload
}

func (u *faultyUpload) Info(ctx context.Context) (info store.Info, err error) {
	err = u.faulty.call(ctx, OpInfo, func() (err error) {
		info, err = u.inner.Info(ctx)
		return err
	})
	return known(info, err)
}

func (u *faultyUpload) SetLength(ctx context.Context, length int64) error {
	return u.faulty.call(ctx, OpSetLength, func() error { return u.inner.SetLength(ctx, length) })
}

func (u *faultyUpload) Finish(ctx context.Context, sum store.Sum) (info store.Info, err error) {
	err = u.faulty.call(ctx, OpFinish, func() (err error) {
		info, err = u.inner.Finish(ctx, sum)
		return err
	})
	return known(info, err)
}

func (u *faultyUpload) Abort(ctx context.Context) error {
	return u.faulty.call(ctx, OpAbort, func() error { return u.inner.Abort(ctx) })
}

func (u *faultyUpload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	return u.write(ctx, r, size, func(r io.Reader, size int64) (int64, error) {
		return u.inner.Write(ctx, off, r, size)
	})
}

// WriteVerified implements [store.Verifier] for a store whose uploads do.
func (u *faultyUpload) WriteVerified(ctx context.Context, off int64, r io.Reader, size int64, verify func() error) (int64, error) {
	return u.write(ctx, r, size, func(r io.Reader, size int64) (int64, error) {
		return u.inner.(store.Verifier).WriteVerified(ctx, off, r, size, verify)
	})
}

// Compress implements [store.Compressor] for a store whose uploads do.
func (u *faultyUpload) Compress(ctx context.Context, c store.Compression, saved func(bytes int64)) error {
	return u.inner.(store.Compressor).Compress(ctx, c, saved)
}

// write does a write by do, or what the plan says.
func (u *faultyUpload) write(ctx context.Context, r io.Reader, size int64, do func(io.Reader, int64) (int64, error)) (int64, error) {
	fault, dead, err := u.faulty.enter(OpWrite)
	if err != nil {
		return 0, err
	}
	if fault == nil {
		return do(&mortalReader{r, dead}, size)
	}
	switch fault.Effect {
	case Short:
		return do(r, min(size, fault.After))
	case Lost:
		if _, err := do(r, size); err != nil {
			return 0, err
		}
		return 0, fault.Err
	}
	// The store sees the fault as one of its source, and keeps what it may.
	return do(&faultyReader{ctx, u.faulty, r, fault, fault.After}, size)
}

// A mortalReader ends when the store dies.
type mortalReader struct {
	r    io.Reader
	dead <-chan struct{}
}

func (r *mortalReader) Read(p []byte) (int, error) {
	select {
	case <-r.dead:
		return 0, store.Transient(ErrDead)
	default:
		return r.r.Read(p)
	}
}

// A faultyReader gives left bytes and then the fault.
type faultyReader struct {
	ctx    context.Context
	faulty *Faulty
	r      io.Reader
	fault  *Fault
	left   int64
}

func (r *faultyReader) Read(p []byte) (int, error) {
	if r.left > 0 {
		n, err := r.r.Read(p[:min(int64(len(p)), r.left)])
		r.left -= int64(n)
		return n, err
	}
	switch r.fault.Effect {
	case Hang:
		<-r.ctx.Done()
		return 0, r.ctx.Err()
	case Die:
		r.faulty.Kill()
	}
	return 0, r.fault.Err
}
