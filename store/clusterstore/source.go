package clusterstore

import (
	"context"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// A source is the bytes of a Write. It ends with the Write's context, and with
// the Upload, but only between two Reads.
type source struct {
	ctx   context.Context
	taken context.Context // of the upload
	r     io.Reader
	left  int64 // of the unit, or store.UnknownLength
	room  int64 // in the upload
	// before is called before each Read of r; the source ends with its error.
	before func(context.Context) error
	err    error // at which it ended
}

// Read implements io.Reader. It gives no more than the unit, nor more than there
// is room for.
func (s *source) Read(p []byte) (int, error) {
	switch {
	case s.err != nil:
	case s.taken.Err() != nil:
		s.err = context.Cause(s.taken)
	case s.ctx.Err() != nil:
		s.err = s.ctx.Err()
	case s.left == 0:
		s.err = io.EOF
	case s.room == 0:
		s.err = s.overflow()
	default:
		if s.err = s.before(s.ctx); s.err == nil {
			return s.read(p)
		}
	}
	return 0, s.err
}

func (s *source) read(p []byte) (int, error) {
	if s.left > 0 {
		p = p[:min(int64(len(p)), s.left)]
	}
	p = p[:min(int64(len(p)), s.room)]
	n, err := s.r.Read(p)
	s.room -= int64(n)
	if s.left > 0 {
		s.left -= int64(n)
	}
	switch {
	case s.taken.Err() != nil:
		s.err = context.Cause(s.taken)
		return 0, s.err // late bytes are nobody's
	case err == nil:
	case err != io.EOF: // also where it wraps that
		s.err = fmt.Errorf("read the unit: %w", err)
	case s.left > 0:
		s.err = fmt.Errorf("%d bytes are missing: %w", s.left, io.ErrUnexpectedEOF)
	default:
		s.err = io.EOF
	}
	return n, s.err
}

// overflow looks whether a unit of unknown size ends where the upload does.
func (s *source) overflow() error {
	var one [1]byte
	for {
		switch n, err := s.r.Read(one[:]); {
		case n > 0:
			return fmt.Errorf("%w: the unit goes beyond the upload's end", store.ErrTooLarge)
		case err == io.EOF:
			return io.EOF
		case err != nil:
			return fmt.Errorf("read the unit: %w", err)
		}
	}
}

// fill reads until p is full or the source has ended, which is the error then.
func (s *source) fill(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = s.Read(p[n:])
		n += more
	}
	return n, err
}

// broke: it ended before its end.
func (s *source) broke() bool { return s.err != nil && s.err != io.EOF }

// end is what comes after the last byte of a unit of known size: nothing.
func (s *source) end() error {
	if s.err != nil {
		return s.err
	}
	return io.EOF
}

// A summed reader computes the sum of the first bytes of a reader.
type summed struct {
	r    io.Reader
	left int64
	sum  uint32
}

// Sum implements store.Summer.
func (s *summed) Sum() store.Sum { return store.Sum{CRC32C: s.sum, Known: true} }

// Read implements io.Reader.
func (s *summed) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.sum = checksum.Update(s.sum, p[:n])
	s.left -= int64(n)
	return n, err
}
