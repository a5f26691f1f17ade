// Package detach takes a reader back from somebody who may still be reading it.
//
// An HTTP transport goes on reading a request's body after an early answer or
// a cancelled request. Whoever lends it a reader over memory or a file detaches
// the reader before the memory is released or the file is closed.
package detach

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// ErrDetached is what a Read returns after Detach.
var ErrDetached = errors.New("reader is detached")

// A Reader passes reads on until it is detached. Read and the other methods
// may be called from different goroutines.
type Reader struct {
	// turn holds one token. Whoever has it may use r and err.
	turn chan struct{}
	r    io.Reader // nil once detached
	err  error

	bytes atomic.Int64
}

// NewReader returns a Reader of r.
func NewReader(r io.Reader) *Reader {
	d := &Reader{turn: make(chan struct{}, 1), r: r}
	d.turn <- struct{}{}
	return d
}

// Read implements io.Reader. After Detach it returns ErrDetached.
func (d *Reader) Read(p []byte) (int, error) {
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	if d.r == nil {
		return 0, ErrDetached
	}
	n, err := d.r.Read(p)
	d.bytes.Add(int64(n))
	if err != nil && d.err == nil {
		d.err = err
	}
	return n, err
}

// Lend calls use with the next n bytes of a reader that lends them, as Next of a
// bytes.Buffer does, or with as many as are left, and returns how many that were. Of any
// other reader, and after Detach, there are none, and use isn't called. It counts as a
// Read: use must not keep the bytes.
func (d *Reader) Lend(n int, use func(p []byte) error) (int, error) {
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	lender, ok := d.r.(interface{ Next(n int) []byte })
	if !ok {
		return 0, nil
	}
	p := lender.Next(n)
	d.bytes.Add(int64(len(p)))
	if len(p) > 0 {
		return len(p), use(p)
	}
	if n > 0 && d.err == nil {
		d.err = io.EOF
	}
	return 0, nil
}

// Detach waits for a Read or Lend under way; after it the underlying reader is not
// touched again. It may be called more than once.
//
// It waits as long as the underlying Read blocks. Where that may be long, as
// in a server's request body, end the Read first, with a read deadline in the
// past; a file or memory needs nothing.
func (d *Reader) Detach() {
	<-d.turn
	d.r = nil
	d.turn <- struct{}{}
}

// Bytes returns how many bytes have been read so far. It doesn't wait.
func (d *Reader) Bytes() int64 { return d.bytes.Load() }

// Err returns the error, or io.EOF, at which the underlying reader ended, or
// nil. It waits for a Read under way.
func (d *Reader) Err() error {
	<-d.turn
	defer func() { d.turn <- struct{}{} }()
	return d.err
}

// Failure is why the underlying reader gave less than size bytes, or nil: its
// error, or io.ErrUnexpectedEOF. A negative size is as much as there is.
func (d *Reader) Failure(size int64) error {
	err := d.Err()
	switch {
	case err == nil:
		return nil
	case err != io.EOF: // also where it wraps that
		return fmt.Errorf("read the unit: %w", err)
	case d.Bytes() < size:
		return fmt.Errorf("%d of %d bytes are missing: %w", size-d.Bytes(), size, io.ErrUnexpectedEOF)
	}
	return nil
}
