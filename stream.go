package streamflow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// A stream reads ahead of what is sent: up to Streams units, each held in
// memory until the destination has acknowledged it. Where it comes fast, a unit is
// sent while it is filled, so that fewer of them keep the destination busy.
//
// Only read waits for memory, and it holds none while it waits: the units read
// before are in the hands of the sender, who needs nothing more to send and
// release them. So every unit's memory comes back, and read goes on. While it fills
// a unit it waits for the source alone.
type stream struct {
	u     *Upload
	chunk int64
	least int64      // how far a unit may shrink
	ready chan *unit // filled at least by half; closed at the end of read
	err   error      // why read ended before the end of the stream; after ready

	// The rest belongs to the sender.
	held     []*unit // out of ready and not known to be acknowledged, by offset
	base     int64   // the furthest end of an acknowledged unit
	finished *unit   // the last unit, once it was acknowledged
}

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
		n, err := s.newUnit(ctx, off, size)
		if err != nil {
			s.u.admission.release()
			s.err = err
			return
		}
		if s.err = s.fill(n, sum); s.err != nil {
			return
		}
		off, sum = n.end(), n.sum
		if n.last {
			s.u.setTotal(off)
			return
		}
	}
}

func (s *stream) newUnit(ctx context.Context, off, size int64) (*unit, error) {
	buf, err := s.u.mem.Acquire(ctx, s.u.object.kind, int(size))
	if err != nil {
		return nil, explainLimit(err, s.u.m.mem, storeReserve)
	}
	return &unit{off: off, buf: buf, room: buf.Bytes()[:size], summed: !s.u.m.opts.DisableChecksum}, nil
}

// fill reads a unit and puts it into ready, or drops it after an error. The first one
// comes there whole: it may be all there is.
func (s *stream) fill(n *unit, sum uint32) error {
	f := filler{s: s, n: n, began: time.Now()}
	filled, err := fill(&f, n.room)
	last := err == io.EOF // an error that wraps it is one
	if err == nil || last {
		err = s.check(n.off+int64(filled), last)
	} else {
		err = s.u.readError(err)
	}
	n.finish(sum, last, err)
	switch {
	case f.handed:
	case err != nil:
		s.drop(n)
	default:
		s.ready <- n
	}
	return err
}

// A filler is the source of a unit. It sums what comes at once, while who writes to a
// pipe goes on.
type filler struct {
	s      *stream
	n      *unit
	began  time.Time
	handed bool // into ready, before it is full
}

func (f *filler) Read(p []byte) (int, error) {
	n, err := f.s.u.object.reader.Read(p)
	crc := uint32(0)
	if f.n.summed {
		crc = f.s.u.timed(func() uint32 { return checksum.Update(f.n.crc, p[:n]) })
	}
	filled := f.n.grow(n, crc)
	if f.n.off > 0 && !f.handed && 2*filled >= len(f.n.room) && time.Since(f.began) <= promptTime {
		f.s.ready <- f.n
		f.handed = true
	}
	return n, err
}

// check refuses another length than what was announced: that of a file is known
// before it is encoded.
func (s *stream) check(end int64, last bool) error {
	length := s.u.object.length
	if length == store.UnknownLength || end == length || end < length && !last {
		return nil
	}
	return &EncodeError{Kind: s.u.object.kind, Err: fmt.Errorf("%d bytes came of it, not %d", end, length)}
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

// head returns the first unit that isn't acknowledged, whole, reading one if need be.
func (s *stream) head(ctx context.Context) (n *unit, err error) {
	if len(s.held) > 0 {
		n = s.held[0]
	} else if n, err = s.next(ctx); err != nil {
		return nil, err
	}
	return n, n.wait(ctx)
}

// errEnded: the last unit is out of ready.
var errEnded = errors.New("the stream has ended")

// next waits for one more unit, which is held from then on. After the last it is
// errEnded.
func (s *stream) next(ctx context.Context) (*unit, error) {
	select {
	case n, ok := <-s.ready:
		if ok {
			s.held = append(s.held, n)
			return n, nil
		}
		if s.err != nil {
			return nil, s.err
		}
		return nil, errEnded
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// length returns that of the stream where its last unit is held, or
// store.UnknownLength.
func (s *stream) length() int64 {
	if len(s.held) > 0 {
		if n := s.held[len(s.held)-1]; n.isFull() && n.last {
			return n.end()
		}
	}
	return store.UnknownLength
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
