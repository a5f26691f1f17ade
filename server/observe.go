package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// An observedStore counts and times what a store does, and knows the uploads
// whose bytes come in now.
type observedStore struct {
	store.Store
	name    string
	logger  *slog.Logger
	metrics *metrics

	mu       sync.Mutex
	arriving map[*arrival]struct{}
}

// observe returns st with nobody listening yet: the caller sets metrics.
func observe(st store.Store, logger *slog.Logger) *observedStore {
	kind, _, _ := strings.Cut(strings.TrimPrefix(fmt.Sprintf("%T", st), "*"), ".")
	return &observedStore{Store: st, name: kind, logger: logger, arriving: make(map[*arrival]struct{})}
}

// Create implements store.Store.
func (s *observedStore) Create(ctx context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	start := time.Now()
	up, info, err := s.Store.Create(ctx, spec)
	if s.done("create", start, 0, err) {
		s.metrics.created.Inc()
	}
	return s.upload(up, info), info, err
}

// Open implements store.Store.
func (s *observedStore) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	start := time.Now()
	up, info, err := s.Store.Open(ctx, id)
	s.done("open", start, 0, err)
	return s.upload(up, info), info, err
}

// Stat implements store.Store.
func (s *observedStore) Stat(ctx context.Context, id string) (store.Info, error) {
	start := time.Now()
	info, err := s.Store.Stat(ctx, id)
	s.done("stat", start, 0, err)
	return info, err
}

// Concatenate implements store.Concatenator where the store does; elsewhere it
// is store.ErrUnsupported.
func (s *observedStore) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Upload, store.Info, error) {
	c, ok := s.Store.(store.Concatenator)
	if !ok {
		return nil, store.Info{}, store.ErrUnsupported
	}
	start := time.Now()
	up, info, err := c.Concatenate(ctx, spec, ids)
	if s.done("concatenate", start, 0, err) {
		s.metrics.created.Inc()
	}
	return s.upload(up, info), info, err
}

// OpenReader implements store.Reader where the store does; elsewhere it is
// store.ErrUnsupported.
func (s *observedStore) OpenReader(ctx context.Context, id string) (io.ReadSeekCloser, store.Info, error) {
	r, ok := s.Store.(store.Reader)
	if !ok {
		return nil, store.Info{}, store.ErrUnsupported
	}
	start := time.Now()
	content, info, err := r.OpenReader(ctx, id)
	s.done("read", start, 0, err)
	return content, info, err
}

func (s *observedStore) upload(up store.Upload, info store.Info) store.Upload {
	if up == nil {
		return nil
	}
	return &observedUpload{Upload: up, store: s, id: info.ID, name: info.Name, length: info.Length}
}

// done records one operation that began at start and waited for the client for
// a while. It reports whether it went well.
func (s *observedStore) done(op string, start time.Time, waited time.Duration, err error) bool {
	s.metrics.operation(s.name, op, time.Since(start)-waited)
	if errors.Is(err, memory.ErrFull) {
		s.metrics.refused.timeout.Inc()
	}
	if isFault(op, err) {
		s.metrics.failed.Inc()
		if protocol.Status(err) != http.StatusInternalServerError { // that is logged with its request
			s.logger.Warn("the store failed", "operation", op, "error", err)
		}
	}
	return err == nil
}

// isFault reports whether err is trouble of the store, and not what a client
// asked for or did.
func isFault(op string, err error) bool {
	switch {
	case err == nil, errors.As(err, new(*store.OffsetError)):
		return false
	case errors.As(err, new(*protocol.Refusal)):
		return false // of a body, by who reads it on its way
	case op == "write" && errors.Is(err, store.ErrChecksum):
		return false // it is the store that notices, and at Finish that is to blame
	}
	for _, expected := range []error{
		store.ErrNotFound, store.ErrTaken, store.ErrGone, store.ErrInvalid, store.ErrTooLarge, store.ErrSuperseded,
		store.ErrUnsupported, store.ErrIncomplete, context.Canceled, io.ErrUnexpectedEOF, errIdle, errMemory, memory.ErrFull,
	} {
		if errors.Is(err, expected) {
			return false
		}
	}
	return true
}

// An observedUpload is an upload of an observedStore. Of its Info it keeps what
// is shown of it: thousands may wait.
type observedUpload struct {
	store.Upload
	store    *observedStore
	id, name string
	length   int64 // as it was opened
}

// Write implements store.Upload.
func (u *observedUpload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	return u.write(off, r, func(r io.Reader) (int64, error) { return u.Upload.Write(ctx, off, r, size) })
}

// WriteVerified implements store.Verifier where the store's uploads do.
func (u *observedUpload) WriteVerified(ctx context.Context, off int64, r io.Reader, size int64, verify func() error) (int64, error) {
	return u.write(off, r, func(r io.Reader) (int64, error) {
		return u.Upload.(store.Verifier).WriteVerified(ctx, off, r, size, verify)
	})
}

func (u *observedUpload) write(off int64, r io.Reader, do func(io.Reader) (int64, error)) (int64, error) {
	a := &arrival{r: r, upload: u, offset: off, begun: time.Now()}
	u.store.arrives(a)
	defer u.store.leaves(a)
	n, err := do(a)
	u.store.done("write", a.begun, a.waited, err)
	return n, err
}

// Finish implements store.Upload.
func (u *observedUpload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	start := time.Now()
	info, err := u.Upload.Finish(ctx, sum)
	if u.store.done("finish", start, 0, err) {
		u.store.metrics.finished.Inc()
	}
	return info, err
}

// Abort implements store.Upload.
func (u *observedUpload) Abort(ctx context.Context) error {
	start := time.Now()
	err := u.Upload.Abort(ctx)
	if u.store.done("abort", start, 0, err) {
		u.store.metrics.terminated.Inc()
	}
	return err
}

// An arrival is bytes on their way from a client into an upload.
type arrival struct {
	r        io.Reader
	upload   *observedUpload
	offset   int64 // where it began
	begun    time.Time
	received atomic.Int64
	waited   time.Duration // for the client
}

// Read implements io.Reader.
func (a *arrival) Read(p []byte) (int, error) {
	start := time.Now()
	n, err := a.r.Read(p)
	a.waited += time.Since(start)
	a.received.Add(int64(n))
	a.upload.store.metrics.received.Add(n)
	return n, err
}

func (s *observedStore) arrives(a *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arriving[a] = struct{}{}
}

func (s *observedStore) leaves(a *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.arriving, a)
}

func (s *observedStore) inFlight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arriving)
}

// oldest returns at most n of the arrivals, those under way longest first, and
// how many there are.
func (s *observedStore) oldest(n int) ([]*arrival, int) {
	s.mu.Lock()
	all := make([]*arrival, 0, len(s.arriving))
	for a := range s.arriving {
		all = append(all, a)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *arrival) int {
		return cmp.Or(a.begun.Compare(b.begun), strings.Compare(a.upload.id, b.upload.id))
	})
	return all[:min(n, len(all))], len(all)
}
