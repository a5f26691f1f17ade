package streamflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// A stream reads ahead of what is sent: up to Streams units, each held in
// memory until the destination has acknowledged it.
//
// Only read waits for memory, and it holds none while it waits: the units read
// before are in the hands of the sender, who needs nothing more to send and
// release them. So every unit's memory comes back, and read goes on.
type stream struct {
	u     *Upload
	chunk int64
	least int64      // how far a unit may shrink
	ready chan *unit // closed at the end of read
	err   error      // why read ended before the end of the stream; after ready

	// The rest belongs to the sender.
	held     []*unit // read and not known to be acknowledged, by offset
	base     int64   // the furthest end of an acknowledged unit
	ended    bool    // the last unit was read
	finished *unit   // the last unit, once it was acknowledged
}

// A unit is a part of a stream, in memory.
type unit struct {
	off  int64
	p    []byte
	buf  memory.Buffer
	own  store.Sum // known unless sums are turned off
	sum  uint32    // of the stream up to this unit's end
	last bool

	dropped atomic.Bool
}

func (n *unit) end() int64 { return n.off + int64(len(n.p)) }

// newStream begins to read. A least of 0 keeps every unit but the last at chunk.
func newStream(u *Upload, chunk, least int64) *stream {
	if least == 0 {
		least = chunk
	}
	// Every unit in ready has been admitted, so a send never blocks; one more
	// is for an empty last unit, which needs no admission.
	return &stream{u: u, chunk: chunk, least: least, ready: make(chan *unit, u.admission.streams+1)}
}

// read is the goroutine that fills ready. It ends with ctx, or with the stream.
func (s *stream) read(ctx context.Context) {
	defer close(s.ready)
	size, off, sum := s.chunk, int64(0), uint32(0)
	for {
		level, err := s.u.admission.take(ctx)
		if err != nil {
			s.err = err
			return
		}
		size = narrowed(size, level, s.least, s.chunk)
		n, err := s.readUnit(ctx, off, size, sum)
		if err == nil {
			err = s.check(n)
		}
		if err != nil {
			s.u.admission.release()
			s.err = err
			return
		}
		off, sum = n.end(), n.sum
		s.ready <- n
		if n.last {
			return
		}
	}
}

func (s *stream) readUnit(ctx context.Context, off, size int64, sum uint32) (*unit, error) {
	buf, err := s.u.mem.Acquire(ctx, s.u.object.kind, int(size))
	if err != nil {
		return nil, explainLimit(err, s.u.m.mem, storeReserve)
	}
	n := &unit{off: off, buf: buf, own: store.Sum{Known: !s.u.m.opts.DisableChecksum}}
	in := s.u.object.reader
	if n.own.Known {
		in = &summedReader{s.u, in, &n.own.CRC32C}
	}
	filled, err := fill(in, buf.Bytes()[:size])
	n.p = buf.Bytes()[:filled]
	if errors.Is(err, io.EOF) {
		n.last = true
	} else if err != nil {
		_ = buf.Release()
		return nil, s.u.readError(err)
	}
	if n.own.Known {
		n.sum = checksum.Combine(sum, n.own.CRC32C, int64(filled))
	}
	return n, nil
}

// A summedReader sums what comes at once, while who writes to a pipe goes on.
type summedReader struct {
	u   *Upload
	r   io.Reader
	sum *uint32
}

func (r *summedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	*r.sum = r.u.timed(func() uint32 { return checksum.Update(*r.sum, p[:n]) })
	return n, err
}

// check refuses another length than what was announced: that of a file is known
// before it is encoded. It releases n then.
func (s *stream) check(n *unit) error {
	length := s.u.object.length
	if length == store.UnknownLength || n.end() == length || n.end() < length && !n.last {
		return nil
	}
	err := &EncodeError{Kind: s.u.object.kind, Err: fmt.Errorf("%d bytes came of it, not %d", n.end(), length)}
	return errors.Join(err, n.buf.Release())
}

// fill reads until p is full or r ends: io.EOF then, and only then. io.ReadFull
// would hide a reader that was cut off behind its own io.ErrUnexpectedEOF.
func fill(r io.Reader, p []byte) (int, error) {
	n, empty := 0, 0
	for n < len(p) {
		read, err := r.Read(p[n:])
		n += read
		if err == io.EOF {
			return n, io.EOF
		}
		if err != nil {
			return n, err
		}
		if empty++; read > 0 {
			empty = 0
		}
		if empty == 100 {
			return n, io.ErrNoProgress
		}
	}
	return n, nil
}

// head returns the first unit that isn't acknowledged, reading one if need be.
func (s *stream) head(ctx context.Context) (*unit, error) {
	if len(s.held) > 0 {
		return s.held[0], nil
	}
	return s.next(ctx)
}

// next waits for one more unit, which is held from then on.
func (s *stream) next(ctx context.Context) (*unit, error) {
	select {
	case n, ok := <-s.ready:
		if !ok {
			return nil, s.err
		}
		s.held = append(s.held, n)
		if n.last {
			s.ended = true
			s.u.setTotal(n.end())
		}
		return n, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// drop releases an acknowledged unit and its admission, once however often it
// is called. Its bytes must not be used any more. Any goroutine may call it.
func (s *stream) drop(n *unit) {
	if n.dropped.Swap(true) {
		return
	}
	if err := n.buf.Release(); err != nil {
		s.u.m.opts.Logger.Error("releasing a unit failed", "upload", s.u.Name(), "error", err)
	}
	s.u.admission.release()
}

// sweep forgets the units that were dropped.
func (s *stream) sweep() {
	s.held = slices.DeleteFunc(s.held, func(n *unit) bool {
		if !n.dropped.Load() {
			return false
		}
		s.base = max(s.base, n.end())
		if n.last {
			s.finished = n
		}
		return true
	})
}

// drain waits for read to end, after its context has, and drops what is left.
func (s *stream) drain() {
	for n := range s.ready {
		s.drop(n)
	}
	for _, n := range s.held {
		s.drop(n)
	}
	s.held = nil
}

// replayable reports whether the stream can be sent again from its start.
func (s *stream) replayable() bool { return s.base == 0 && s.finished == nil }

// lost is the error where the destination has less than it acknowledged.
func (s *stream) lost(off int64) error {
	return fmt.Errorf("the destination has %d bytes of the stream, after it had acknowledged %d", off, s.base)
}
