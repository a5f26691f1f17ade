package server

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// uploads is the server as protocols see it: protocol.Uploads over a store.
type uploads struct{ s *Server }

func (u uploads) Create(ctx context.Context, spec store.Spec) (store.Info, error) {
	if err := u.s.admitUpload(); err != nil {
		return store.Info{}, err
	}
	up, info, err := u.s.store.Create(ctx, spec)
	if err != nil {
		return store.Info{}, fmt.Errorf("create upload: %w", err)
	}
	return u.s.begun(ctx, up, info)
}

func (u uploads) Info(ctx context.Context, id string) (store.Info, error) {
	t, done, err := u.s.begin(ctx, id, nil)
	if err != nil {
		return store.Info{}, err
	}
	defer done()
	info, err := u.s.store.Stat(t.ctx, id)
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload: %w", err)
	}
	if u.s.expired(info) {
		return store.Info{}, store.ErrGone
	}
	if !whole(info) {
		return info, nil
	}
	// Finish was put off, or the process died before it. A client that hears the
	// final offset sends nothing more, so it is finished here.
	up, info, err := u.s.store.Open(t.ctx, id)
	if err != nil {
		return store.Info{}, fmt.Errorf("open upload: %w", err)
	}
	return u.s.settle(t.ctx, up, info)
}

func (u uploads) Append(ctx context.Context, id string, c protocol.Chunk) (store.Info, error) {
	t, done, err := u.s.begin(ctx, id, c.Body)
	if err != nil {
		return store.Info{}, err
	}
	defer done()
	info, err := u.s.append(t, id, c)
	return info, t.reason(err)
}

func (s *Server) append(t *turn, id string, c protocol.Chunk) (store.Info, error) {
	up, info, err := s.open(t.ctx, id)
	if err != nil {
		return store.Info{}, err
	}
	if info, err = s.settle(t.ctx, up, info); err != nil { // put off by an earlier request
		return info, err
	}
	length, err := s.admit(info, c)
	if err != nil {
		return info, err
	}
	if c.Length != store.UnknownLength && info.Length == store.UnknownLength {
		if err := up.SetLength(t.ctx, c.Length); err != nil {
			return info, fmt.Errorf("set length: %w", err)
		}
	}
	n := int64(0)
	if c.Size != 0 {
		n, err = s.write(t, up, c, length)
	} else if c.Verify != nil {
		err = c.Verify()
	}
	if err != nil {
		info.Offset += n
		return info, err
	}
	// Bytes are there that the client should hear of, also if it is gone now.
	after, err := up.Info(context.WithoutCancel(t.ctx))
	if err != nil {
		return info, fmt.Errorf("look up upload: %w", err)
	}
	return s.settle(t.ctx, up, after)
}

func (u uploads) Terminate(ctx context.Context, id string) error {
	t, done, err := u.s.begin(ctx, id, nil)
	if err != nil {
		return err
	}
	defer done()
	up, info, err := u.s.open(t.ctx, id)
	if err != nil {
		return err
	}
	if err := u.s.discard(t.ctx, up, info); err != nil {
		return fmt.Errorf("terminate upload: %w", err)
	}
	return nil
}

// open takes over an upload that hasn't expired.
func (s *Server) open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	up, info, err := s.store.Open(ctx, id)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("open upload: %w", err)
	}
	if s.expired(info) {
		return nil, store.Info{}, store.ErrGone
	}
	return up, info, nil
}

// admit checks a chunk against its upload and returns the length that bounds
// it, or store.UnknownLength.
func (s *Server) admit(info store.Info, c protocol.Chunk) (int64, error) {
	length := info.Length
	switch {
	case tus.IsFinal(info.Metadata):
		return 0, fmt.Errorf("%w: a final upload takes no bytes", store.ErrDenied)
	case c.Offset != info.Offset:
		return 0, &store.OffsetError{Expected: info.Offset, Provided: c.Offset}
	case c.Length == store.UnknownLength:
	case length != store.UnknownLength && c.Length != length:
		return 0, protocol.InconsistentLength(fmt.Sprintf("the length is %d and doesn't change", length))
	case c.Length < info.Offset:
		return 0, protocol.InconsistentLength(fmt.Sprintf("length %d is less than the offset %d", c.Length, info.Offset))
	default:
		length = c.Length
	}
	if length == store.UnknownLength && s.maxLength > 0 {
		length = s.maxLength
	}
	if length != store.UnknownLength && c.Size > length-c.Offset {
		return 0, protocol.TooLarge(length, fmt.Sprintf("%d bytes at offset %d go beyond %d", c.Size, c.Offset, length))
	}
	return length, nil
}

// write streams a chunk's body into the store.
func (s *Server) write(t *turn, up store.Upload, c protocol.Chunk, length int64) (int64, error) {
	// Until the first Read the store waits for memory, as this does.
	waiting := time.AfterFunc(s.opts.MemoryTimeout, func() { t.end(errMemory) })
	defer waiting.Stop()
	release, err := s.chargeRequest(t.ctx)
	if err != nil {
		return 0, err
	}
	defer release()

	in := s.intake(t, func() { waiting.Stop() })
	defer in.limit.Close()
	if c.Size == store.UnknownLength && length != store.UnknownLength {
		in.room, in.probe = length-c.Offset, true
	}
	n, err := writeUnit(t.ctx, up, c, in)
	if err != nil {
		return n, fmt.Errorf("write: %w", err)
	}
	return n, nil
}

func writeUnit(ctx context.Context, up store.Upload, c protocol.Chunk, r io.Reader) (int64, error) {
	if c.Verify == nil {
		return up.Write(ctx, c.Offset, r, c.Size)
	}
	v, ok := up.(store.Verifier)
	if !ok { // though Limits promise it
		return 0, fmt.Errorf("verify: %w", store.ErrUnsupported)
	}
	return v.WriteVerified(ctx, c.Offset, r, c.Size, c.Verify)
}
