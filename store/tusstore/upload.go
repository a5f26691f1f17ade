package tusstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/streamflow/streamflow/internal/detach"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// An Upload is one upload at a tus server.
type Upload struct {
	store *Store
	id    string

	mu     sync.Mutex
	url    *url.URL // moves with a redirect, unlike id
	offset int64    // acknowledged so far
	length int64    // or store.UnknownLength
	// undeclared: length comes from SetLength, and the server must be told.
	undeclared bool
	// unfinished: this Upload wrote, and its Finish is still to come.
	unfinished bool
	superseded bool
	// strays counts requests that were cut off and may still reach the server;
	// quiet is when the last of them should have.
	strays int
	quiet  time.Time
}

// strayTime is how much later than its successor a request may arrive.
const strayTime = 100 * time.Millisecond

var _ store.Upload = (*Upload)(nil)

// Info implements store.Upload by a HEAD.
func (u *Upload) Info(ctx context.Context) (store.Info, error) {
	info, err := u.head(ctx)
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload %s: %w", u.id, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	info.Complete = info.Complete && !u.unfinished
	return info, nil
}

// head asks the server. Complete is what the server would say.
func (u *Upload) head(ctx context.Context) (store.Info, error) {
	header := http.Header{tus.HeaderWantReprDigest: {tus.WantDigest}}
	a, err := u.do(ctx, &request{method: http.MethodHead, header: header})
	if err != nil {
		return store.Info{}, err
	}
	if err := a.check(http.MethodHead); err != nil {
		return store.Info{}, err
	}
	offset, err := a.number(tus.HeaderOffset)
	if err != nil {
		return store.Info{}, err
	}
	length := int64(store.UnknownLength)
	if a.header.Get(tus.HeaderLength) != "" {
		if length, err = a.number(tus.HeaderLength); err != nil {
			return store.Info{}, err
		}
		if offset > length {
			return store.Info{}, fmt.Errorf("%w: the server says offset %d of %d", store.ErrUnsupported, offset, length)
		}
	}
	metadata, err := tus.ParseMetadata(a.header.Get(tus.HeaderMetadata))
	if err != nil {
		metadata = nil // a server may spoil what it keeps for us; the bytes count
	}
	info := store.Info{
		ID:       u.id,
		Name:     metadata[tus.MetadataFilename],
		Length:   u.learn(offset, length),
		Offset:   offset,
		Complete: offset == length,
		Metadata: metadata,
		Location: u.id,
	}
	if info.Complete {
		info.Sum = tus.ParseDigest(a.header.Get(tus.HeaderReprDigest))
	}
	return info, nil
}

// learn notes what the server says and returns the length as it is known here.
func (u *Upload) learn(offset, length int64) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.offset = offset
	if length != store.UnknownLength {
		u.length, u.undeclared = length, false
	}
	return u.length
}

// SetLength implements store.Upload. The server hears of it with the next
// Write or Finish.
func (u *Upload) SetLength(ctx context.Context, length int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case length >= 0 && length == u.length:
		return nil
	case u.length != store.UnknownLength:
		return fmt.Errorf("set length of upload %s: %w: it is %d already", u.id, store.ErrInvalid, u.length)
	case length < u.offset:
		return fmt.Errorf("set length of upload %s: %w: %d bytes are written", u.id, store.ErrInvalid, u.offset)
	}
	u.length, u.undeclared = length, true
	return nil
}

// Write implements store.Upload by one PATCH. It returns 0 beside the error
// where a connection broke, as what the server got then isn't known: Info is.
func (u *Upload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	n, err := u.write(ctx, off, r, size)
	if err != nil {
		return n, fmt.Errorf("write upload %s at %d: %w", u.id, off, err)
	}
	return n, nil
}

func (u *Upload) write(ctx context.Context, off int64, r io.Reader, size int64) (n int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := u.admit(off, size); err != nil || size == 0 {
		return 0, err
	}
	charge, err := u.store.mem.Reserve(ctx, memory.KindConnection, connectionBytes)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, charge.Release()) }()

	if size != store.UnknownLength {
		r = io.LimitReader(r, size)
	}
	source := detach.NewReader(r)
	defer source.Detach() // the transport may still be reading
	ctx, end := u.begin(ctx)
	defer end()
	a, err := u.patch(ctx, off, source, size)
	if ctx.Err() != nil {
		u.brokeOff()
		return 0, u.cause(ctx)
	}
	if broken := sourceError(source, size); broken != nil {
		u.brokeOff()
		return u.keptOf(ctx, off), broken
	}
	if err != nil {
		u.brokeOff()
		return 0, err
	}
	return u.acknowledged(a, off, source.Bytes(), size)
}

// writing is a Write under way.
type writing struct{ end context.CancelCauseFunc }

// begin makes the Write one that Open can end.
func (u *Upload) begin(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &writing{cancel}
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	u.store.writing[u.id] = w
	return ctx, func() {
		cancel(nil)
		u.store.mu.Lock()
		defer u.store.mu.Unlock()
		if u.store.writing[u.id] == w {
			delete(u.store.writing, u.id)
		}
	}
}

// cause is why a Write's context has ended.
func (u *Upload) cause(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, store.ErrSuperseded) {
		u.mu.Lock()
		u.superseded = true
		u.mu.Unlock()
		return cause
	}
	return ctx.Err()
}

// brokeOff notes that a request of this upload may be on its way yet.
func (u *Upload) brokeOff() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.strays++
	u.quiet = time.Now().Add(strayTime)
}

// admit checks a unit as far as that needs no server.
func (u *Upload) admit(off, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.superseded:
		return store.ErrSuperseded
	case off < 0 || size < store.UnknownLength:
		return fmt.Errorf("%w: offset or size is negative", store.ErrInvalid)
	case u.length != store.UnknownLength && size > u.length-off:
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, u.length)
	}
	return nil
}

// patch sends one PATCH, with the length where the server doesn't know it.
func (u *Upload) patch(ctx context.Context, off int64, body io.Reader, size int64) (*answer, error) {
	header := http.Header{
		"Content-Type":           {tus.ContentType},
		tus.HeaderOffset:         {strconv.FormatInt(off, 10)},
		tus.HeaderWantReprDigest: {tus.WantDigest},
	}
	u.mu.Lock()
	if u.undeclared {
		header.Set(tus.HeaderLength, strconv.FormatInt(u.length, 10))
	}
	u.unfinished = true
	u.mu.Unlock()
	return u.do(ctx, &request{method: http.MethodPatch, header: header, body: body, size: size})
}

// acknowledged reads from the answer how much of a unit the server has.
func (u *Upload) acknowledged(a *answer, off, sent, size int64) (int64, error) {
	refused := u.overtaken(a.check(http.MethodPatch))
	offset, err := a.number(tus.HeaderOffset)
	switch {
	case a.mismatch() && err == nil:
		return 0, &store.OffsetError{Expected: offset, Provided: off}
	case refused != nil && (err != nil || offset < off || offset-off > sent):
		return 0, refused
	case err != nil:
		return 0, err
	case offset < off || offset-off > sent:
		return 0, fmt.Errorf("%w: the server says offset %d after %d bytes at %d", store.ErrUnsupported, offset, sent, off)
	}
	u.mu.Lock()
	u.offset = offset
	if refused == nil {
		u.undeclared = false
	}
	u.mu.Unlock()
	if n := offset - off; refused == nil && size != store.UnknownLength && n < size {
		return n, store.Transient(fmt.Errorf("the server took %d of %d bytes", n, size))
	}
	return offset - off, refused
}

// overtaken decides who ended a Write that the server calls superseded: a stray
// of our own, which passes, or somebody else.
func (u *Upload) overtaken(err error) error {
	if !errors.Is(err, store.ErrSuperseded) {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.strays > 0 {
		u.strays--
		return store.Transient(errors.New("an earlier request of this upload came late and ended this one"))
	}
	u.superseded = true
	return err
}

// keptOf asks what the server kept of a unit whose source failed, or 0.
func (u *Upload) keptOf(ctx context.Context, off int64) int64 {
	info, err := u.head(ctx)
	if err != nil {
		return 0
	}
	return max(info.Offset-off, 0)
}

// sourceError is the error of the reader, if it is why a request ended.
func sourceError(source *detach.Reader, size int64) error {
	err := source.Err()
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("read the unit: %w", err)
	case size != store.UnknownLength && source.Bytes() < size:
		return fmt.Errorf("%d of %d bytes are missing: %w", size-source.Bytes(), size, io.ErrUnexpectedEOF)
	}
	return nil
}

// Finish implements store.Upload: the server has completed the upload with its
// last byte; its length may still have to be declared, and its sum compared.
func (u *Upload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	info, err := u.finish(ctx, sum)
	if err != nil {
		return store.Info{}, fmt.Errorf("finish upload %s: %w", u.id, err)
	}
	return info, nil
}

func (u *Upload) finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	if err := u.declare(ctx); err != nil {
		return store.Info{}, err
	}
	info, err := u.head(ctx)
	switch {
	case err != nil:
		return store.Info{}, err
	case info.Length == store.UnknownLength:
		return store.Info{}, fmt.Errorf("%w: its length is not known", store.ErrIncomplete)
	case !info.Complete:
		return store.Info{}, fmt.Errorf("%w: %d of %d bytes are there", store.ErrIncomplete, info.Offset, info.Length)
	case sum.Known && info.Sum.Known && sum != info.Sum:
		return store.Info{}, fmt.Errorf("%w: %08x was sent, %08x is stored", store.ErrChecksum, sum.CRC32C, info.Sum.CRC32C)
	}
	u.mu.Lock()
	u.unfinished = false
	u.mu.Unlock()
	return info, nil
}

// declare tells the server the length where no Write did.
func (u *Upload) declare(ctx context.Context) error {
	u.mu.Lock()
	undeclared, offset := u.undeclared, u.offset
	u.mu.Unlock()
	if !undeclared {
		return nil
	}
	a, err := u.patch(ctx, offset, nil, 0)
	if err != nil {
		return err
	}
	_, err = u.acknowledged(a, offset, 0, 0)
	return err
}

// Abort implements store.Upload by a DELETE (extension termination).
func (u *Upload) Abort(ctx context.Context) error {
	a, err := u.do(ctx, &request{method: http.MethodDelete})
	if err == nil {
		err = a.check(http.MethodDelete)
	}
	if err == nil || errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
		return nil
	}
	return fmt.Errorf("abort upload %s: %w", u.id, err)
}

// do sends a request to where the upload is now.
func (u *Upload) do(ctx context.Context, r *request) (*answer, error) {
	u.mu.Lock()
	r.url = u.url
	quiet := u.quiet
	u.mu.Unlock()
	select {
	case <-time.After(time.Until(quiet)):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	a, err := u.store.do(ctx, r)
	if err == nil {
		u.mu.Lock()
		u.url = a.url
		u.mu.Unlock()
	}
	return a, err
}
