package s3store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"weak"

	"github.com/streamflow/streamflow/store"
)

// An Upload is one multipart upload.
type Upload struct {
	store   *Store
	address address // of Create; SetLength doesn't change it
	id      string
	// metadata is what Create was given.
	metadata map[string]string
	created  bool // by Create, not found by Open
	// taken ends when the upload is opened anew, with store.ErrSuperseded.
	taken context.Context
	take  context.CancelCauseFunc

	mu       sync.Mutex
	length   int64 // or store.UnknownLength
	end      int64 // of the bytes that were written here or found
	finished bool
	pieces   map[int64]*piece // of a stream that outgrew its parts
}

var _ store.Upload = (*Upload)(nil)

// upload makes an Upload that hasn't taken over yet.
func (s *Store) upload(a address) *Upload {
	u := &Upload{store: s, address: a, id: a.id(), length: a.Length}
	u.taken, u.take = context.WithCancelCause(context.Background())
	return u
}

// takeOver ends the Upload that was opened before u.
func (s *Store) takeOver(u *Upload) {
	multipart := u.address.Multipart.ID
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.open[multipart].Value(); old != nil {
		old.take(store.ErrSuperseded)
	}
	s.open[multipart] = weak.Make(u)
	runtime.AddCleanup(u, s.forget, multipart)
}

// forget runs after the last use of an Upload that nobody has any more.
func (s *Store) forget(multipart string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[multipart].Value() == nil {
		delete(s.open, multipart)
	}
}

// newInfo is that of an upload with nothing in it.
func (u *Upload) newInfo() store.Info {
	u.mu.Lock()
	defer u.mu.Unlock()
	return store.Info{
		ID:        u.id,
		Name:      u.address.Key[len(u.store.prefix):],
		Length:    u.length,
		UnitBytes: u.address.Unit,
		Metadata:  u.metadata,
		Sum:       store.Sum{Known: true},
		Location:  u.store.uri(u.address.Key),
	}
}

// Info implements store.Upload by ListParts, or where the upload isn't there any
// more, by a look at the object.
func (u *Upload) Info(ctx context.Context) (store.Info, error) {
	info, err := u.info(ctx)
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload of %s: %w", u.store.uri(u.address.Key), err)
	}
	return info, nil
}

func (u *Upload) info(ctx context.Context) (store.Info, error) {
	info := u.newInfo()
	var found coverage
	for p, err := range u.store.bucket.Parts(ctx, u.address.Multipart) {
		if errors.Is(err, store.ErrNotFound) {
			return u.object(ctx, err)
		}
		if err != nil {
			return store.Info{}, err
		}
		found.add(p, u.layout(), info.Length)
	}
	if err := u.countPieces(ctx, &found, info.Length); err != nil {
		return store.Info{}, err
	}
	info.Offset, info.Written, info.Sum, info.ModifiedAt = found.prefix, found.ranges(), found.sum, found.last
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end = max(u.end, found.end)
	return info, nil
}

// object is the Info of a finished upload, or missing where the object isn't
// this upload's.
func (u *Upload) object(ctx context.Context, missing error) (store.Info, error) {
	o, err := u.store.bucket.Head(ctx, u.address.Key)
	if errors.Is(err, store.ErrNotFound) {
		return store.Info{}, missing
	}
	if err != nil {
		return store.Info{}, err
	}
	if u.address.Mark == "" || o.Mark != u.address.Mark {
		return store.Info{}, missing
	}
	info := u.newInfo()
	info.Length, info.Offset, info.Complete = o.Size, o.Size, true
	info.Metadata, info.ModifiedAt, info.Sum = o.Metadata, o.Modified, o.Sum
	u.mu.Lock()
	defer u.mu.Unlock()
	u.finished, u.length, u.end = true, o.Size, o.Size
	return info, nil
}

// SetLength implements store.Upload. S3 has no length before the end, so only
// this Upload knows it.
func (u *Upload) SetLength(ctx context.Context, length int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	problem := ""
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case length >= 0 && length == u.length:
	case u.length != store.UnknownLength:
		problem = fmt.Sprintf("it is %d already", u.length)
	case length < u.end:
		problem = fmt.Sprintf("%d bytes are written", u.end)
	}
	if problem != "" {
		return fmt.Errorf("set length of upload of %s: %w: %s", u.store.uri(u.address.Key), store.ErrInvalid, problem)
	}
	u.length = length
	return nil
}

// Abort implements store.Upload. A finished object stays.
func (u *Upload) Abort(ctx context.Context) error {
	var err error
	if u.address.Length == store.UnknownLength && u.mayHavePieces() {
		err = u.store.abortPieces(ctx, u.address) // first: the upload is how they are found
	}
	if err == nil {
		err = u.store.bucket.AbortMultipart(ctx, u.address.Multipart)
	}
	if err != nil {
		return fmt.Errorf("abort upload of %s: %w", u.store.uri(u.address.Key), err)
	}
	return nil
}

// mayHavePieces: it has, or another process may know of some.
func (u *Upload) mayHavePieces() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return !u.created || len(u.pieces) > 0
}
