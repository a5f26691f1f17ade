package server

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// connectionBytes is what a request costs outside the store: net/http's two
// 4 KiB buffers, headers, and the stacks of its goroutines.
const connectionBytes = 32 << 10

// uploads is the server as protocols see it: protocol.Uploads over a store.
type uploads struct{ s *Server }

func (u uploads) Create(ctx context.Context, spec store.Spec) (store.Info, error) {
	if u.s.isClosing() {
		return store.Info{}, errShutdown
	}
	up, info, err := u.s.store.Create(ctx, spec)
	if err != nil {
		return store.Info{}, fmt.Errorf("create upload: %w", err)
	}
	return settle(ctx, up, info)
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
	// The process died between the last byte and Finish. A client that hears
	// the final offset sends nothing more, so it is finished here.
	up, info, err := u.s.store.Open(t.ctx, id)
	if err != nil {
		return store.Info{}, fmt.Errorf("open upload: %w", err)
	}
	return settle(t.ctx, up, info)
}

func (u uploads) Append(ctx context.Context, id string, c protocol.Chunk) (store.Info, error) {
	t, done, err := u.s.begin(ctx, id, c.Body)
	if err != nil {
		return store.Info{}, err
	}
	defer done()
	up, info, err := u.s.open(t.ctx, id)
	if err != nil {
		return store.Info{}, err
	}
	length, err := u.s.admit(info, c)
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
		n, err = u.s.write(t, up, c, length)
	} else if c.Verify != nil {
		err = c.Verify()
	}
	if err != nil {
		info.Offset += n
		if why := t.ended(); why != nil {
			err = why
		}
		return info, err
	}
	// Nobody gains from ending it now: the bytes are all here.
	ctx = context.WithoutCancel(t.ctx)
	after, err := up.Info(ctx)
	if err != nil {
		return info, fmt.Errorf("look up upload: %w", err)
	}
	if after, err = settle(ctx, up, after); err != nil {
		return info, err
	}
	return after, nil
}

func (u uploads) Terminate(ctx context.Context, id string) error {
	t, done, err := u.s.begin(ctx, id, nil)
	if err != nil {
		return err
	}
	defer done()
	up, _, err := u.s.open(t.ctx, id)
	if err != nil {
		return err
	}
	if err := up.Abort(context.WithoutCancel(t.ctx)); err != nil {
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
	charge, err := s.mem.Reserve(t.ctx, memory.KindConnection, connectionBytes)
	if err != nil {
		return 0, err
	}
	defer s.release(charge)

	in := &intake{turn: t, begun: sync.OnceFunc(func() { waiting.Stop() }), room: store.UnknownLength}
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

func (s *Server) release(r memory.Reservation) {
	if err := r.Release(); err != nil {
		s.opts.Logger.Error("release memory of a connection", "error", err)
	}
}

// settle finishes an upload that has all its bytes, and says where it stands.
func settle(ctx context.Context, up store.Upload, info store.Info) (store.Info, error) {
	if !whole(info) {
		return info, nil
	}
	// The store has its own sum: what was written is what it checks.
	info, err := up.Finish(ctx, store.Sum{})
	if err != nil {
		return store.Info{}, fmt.Errorf("finish upload: %w", err)
	}
	return info, nil
}

// whole: every byte is there, and Finish is still to come. A partial upload is
// never finished: the directory of a server has what users uploaded, not pieces.
func whole(info store.Info) bool {
	return !info.Complete && info.Offset == info.Length && !tus.IsPartial(info.Metadata)
}
