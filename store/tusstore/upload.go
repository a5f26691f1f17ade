package tusstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// An Upload is one upload at a tus server.
type Upload struct {
	store *Store
	id    string
	shown string // id as errors have it

	mu  sync.Mutex
	url *url.URL // moves with a redirect, unlike id
	// info is what is known of the upload. Complete and Sum are of the last
	// answer only.
	info store.Info
	// undeclared: the length comes from SetLength, and the server must be told.
	undeclared bool
	// unfinished: this Upload wrote, and its Finish is still to come.
	unfinished bool
	superseded bool
	// strays counts requests that were cut off and may still reach the server;
	// quiet is when the last of them should have.
	strays int
	quiet  time.Time
	saved  func(bytes int64) // not nil where Writes are in gzip
}

var (
	_ store.Upload     = (*Upload)(nil)
	_ store.Compressor = (*Upload)(nil)
)

// Info implements store.Upload by a HEAD.
func (u *Upload) Info(ctx context.Context) (store.Info, error) {
	info, err := u.head(ctx)
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload %s: %w", u.shown, err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	info.Complete = info.Complete && !u.unfinished
	return info, nil
}

// head asks the server. Complete is what the server would say.
func (u *Upload) head(ctx context.Context) (store.Info, error) {
	header := http.Header{protocol.HeaderWantReprDigest: {protocol.WantDigest}}
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
	u.mu.Lock()
	defer u.mu.Unlock()
	u.info.Name, u.info.Metadata = metadata[store.MetadataFilename], metadata
	if length != store.UnknownLength {
		u.info.Length, u.undeclared = length, false
	}
	u.stands(a, offset, offset == length)
	return u.info, nil
}

// stands notes what an answer says. It needs mu.
func (u *Upload) stands(a *answer, offset int64, complete bool) {
	u.info.Offset, u.info.Complete, u.info.Sum = offset, complete, store.Sum{}
	if complete {
		u.info.Sum = protocol.ParseDigest(a.header.Get(protocol.HeaderReprDigest))
	}
}

// SetLength implements store.Upload. The server hears of it with the next
// Write or Finish.
func (u *Upload) SetLength(ctx context.Context, length int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case length >= 0 && length == u.info.Length:
		return nil
	case u.info.Length != store.UnknownLength:
		return fmt.Errorf("set length of upload %s: %w: it is %d already", u.shown, store.ErrInvalid, u.info.Length)
	case length < u.info.Offset:
		return fmt.Errorf("set length of upload %s: %w: %d bytes are written", u.shown, store.ErrInvalid, u.info.Offset)
	}
	u.info.Length, u.undeclared = length, true
	return nil
}

// Finish implements store.Upload: the server has completed the upload with its
// last byte; its length may still have to be declared, and its sum compared.
// Where the answer to that byte said all there is to know, it asks nothing.
func (u *Upload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	info, err := u.finish(ctx, sum)
	if err != nil {
		return store.Info{}, fmt.Errorf("finish upload %s: %w", u.shown, err)
	}
	return info, nil
}

func (u *Upload) finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	if err := u.declare(ctx); err != nil {
		return store.Info{}, err
	}
	info, err := u.whole(ctx)
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

// whole is what the last answer said, if that was all, or else a HEAD.
func (u *Upload) whole(ctx context.Context) (store.Info, error) {
	u.mu.Lock()
	info := u.info
	u.mu.Unlock()
	if info.Complete && info.Sum.Known {
		return info, ctx.Err()
	}
	return u.head(ctx)
}

// declare tells the server the length where no Write did.
func (u *Upload) declare(ctx context.Context) error {
	u.mu.Lock()
	undeclared, offset := u.undeclared, u.info.Offset
	u.mu.Unlock()
	if !undeclared {
		return nil
	}
	a, err := u.patch(ctx, offset, unit{})
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
	return fmt.Errorf("abort upload %s: %w", u.shown, err)
}

// do sends a request to where the upload is now.
func (u *Upload) do(ctx context.Context, r *request) (*answer, error) {
	u.mu.Lock()
	r.url = u.url
	u.info.Complete, u.info.Sum = false, store.Sum{}
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
