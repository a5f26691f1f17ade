package tusstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/streamflow/streamflow/internal/detach"
	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// strayTime is how much later than its successor a request may arrive.
const strayTime = 100 * time.Millisecond

// Write implements store.Upload by one PATCH. It returns 0 beside the error
// where a connection broke, as what the server got then isn't known: Info is.
func (u *Upload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	n, err := u.write(ctx, off, r, size)
	if err != nil {
		return n, fmt.Errorf("write upload %s at %d: %w", u.shown, off, err)
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
	charge, err := u.store.connections.Reserve(ctx, memory.KindConnection, transport.ConnectionBytes)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, charge.Release()) }()

	if size != store.UnknownLength {
		r = io.LimitReader(r, size)
	}
	source := detach.NewReader(r)
	body := unit{Reader: source, size: size}
	coded := u.code(source, size)
	if coded != nil {
		defer func() { err = errors.Join(err, coded.release()) }()
		body = unit{Reader: coded, size: store.UnknownLength, coding: tus.CodingGzip}
	}
	defer source.Detach() // the transport may still be reading
	ctx, end := u.begin(ctx)
	defer end()
	a, err := u.patch(ctx, off, body)
	if ctx.Err() != nil {
		u.brokeOff()
		return 0, u.cause(ctx)
	}
	if broken := source.Failure(size); broken != nil {
		u.brokeOff()
		return u.keptOf(ctx, off), broken
	}
	if err != nil {
		u.brokeOff()
		return 0, err
	}
	if coded != nil && a.refuses() {
		return 0, u.uncoded(a)
	}
	return u.acknowledged(a, off, source.Bytes(), size)
}

// A unit is what a PATCH sends. The zero unit is no bytes.
type unit struct {
	io.Reader
	size   int64  // as sent, or store.UnknownLength
	coding string // "" for bytes as they are
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
	case u.info.Length != store.UnknownLength && size > u.info.Length-off:
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, u.info.Length)
	}
	return nil
}

// patch sends one PATCH, with the length where the server doesn't know it.
func (u *Upload) patch(ctx context.Context, off int64, body unit) (*answer, error) {
	header := http.Header{
		"Content-Type":                {tus.ContentType},
		tus.HeaderOffset:              {strconv.FormatInt(off, 10)},
		protocol.HeaderWantReprDigest: {protocol.WantDigest},
	}
	if body.coding != "" {
		header.Set("Content-Encoding", body.coding)
	}
	u.mu.Lock()
	if u.undeclared {
		header.Set(tus.HeaderLength, strconv.FormatInt(u.info.Length, 10))
	}
	u.unfinished = true
	u.mu.Unlock()
	return u.do(ctx, &request{method: http.MethodPatch, header: header, body: body.Reader, size: body.size})
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
	if refused == nil {
		u.undeclared = false
	}
	u.stands(a, offset, refused == nil && offset == u.info.Length)
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
