package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Write implements store.Upload. Each unit is one part, sent in one request.
func (u *Upload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	n, err := u.write(ctx, off, r, size)
	if err != nil {
		return n, fmt.Errorf("write %s at %d: %w", u.store.uri(u.address.Key), off, err)
	}
	return n, nil
}

func (u *Upload) write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := u.admit(off, size); err != nil {
		return 0, err
	}
	if size == store.UnknownLength {
		return u.writeAll(ctx, off, r)
	}
	if size > u.address.Unit {
		r = struct{ io.Reader }{r} // a Summer's is of more than a part
	}
	for n := int64(0); n < size; {
		part := min(size-n, u.address.Unit)
		if err := u.writePart(ctx, off+n, r, part); err != nil {
			return n, err
		}
		n += part
	}
	return size, nil
}

// admit checks a Write as far as that needs no request.
func (u *Upload) admit(off, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	unit := u.address.Unit
	switch {
	case u.taken.Err() != nil:
		return context.Cause(u.taken)
	case u.finished:
		return fmt.Errorf("%w: it is finished", store.ErrInvalid)
	case unit == 0:
		return fmt.Errorf("%w: a listed upload can only be looked at and aborted", store.ErrUnsupported)
	case off < 0 || size < store.UnknownLength:
		return fmt.Errorf("%w: offset or size is negative", store.ErrInvalid)
	case u.length != store.UnknownLength && size > u.length-off:
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, u.length)
	case size > 0 && off%unit != 0:
		return fmt.Errorf("%w: units begin at multiples of %d", store.ErrInvalid, unit)
	case size > 0 && size%unit != 0 && u.length != store.UnknownLength && off+size != u.length:
		return fmt.Errorf("%w: every unit but the last has %d bytes", store.ErrInvalid, unit)
	}
	return nil
}

// writeAll writes what r has, unit by unit. A unit is held until it is written,
// as its size must be known first.
func (u *Upload) writeAll(ctx context.Context, off int64, r io.Reader) (n int64, err error) {
	buf, err := u.store.mem.Acquire(ctx, memory.KindChunk, int(u.address.Unit))
	if err != nil {
		return 0, err
	}
	defer func() { _ = buf.Release() }()
	for {
		p := buf.Bytes()[:u.address.Unit]
		filled, err := io.ReadFull(r, p)
		ended := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !ended {
			return n, fmt.Errorf("read the unit: %w", err)
		}
		if filled > 0 {
			if err := u.admit(off+n, int64(filled)); err != nil {
				return n, err
			}
			if err := u.writePart(ctx, off+n, &sliceReader{p[:filled]}, int64(filled)); err != nil {
				return n, err
			}
			n += int64(filled)
		}
		if ended {
			return n, nil
		}
	}
}

// A sliceReader reads a slice, and can't be rewound: a client would retry.
type sliceReader struct{ p []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	if len(r.p) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.p)
	r.p = r.p[n:]
	return n, nil
}

// writePart sends the unit at off, as a part of the upload or of a piece.
func (u *Upload) writePart(ctx context.Context, off int64, r io.Reader, size int64) (err error) {
	l := u.layout()
	if off >= l.length() {
		return fmt.Errorf("%w: %d parts of %d bytes are full", store.ErrTooLarge, l.parts, l.unit)
	}
	ctx, end := u.begin(ctx)
	defer end()
	charge, err := u.store.connections.Reserve(ctx, memory.KindConnection, u.store.bucket.RequestBytes())
	if err != nil {
		return err
	}
	defer func() { _ = charge.Release() }()
	if index, number, ok := l.pieceOf(off); ok {
		err = u.writePieceUnit(ctx, u.piece(index), number, r, size)
	} else {
		_, err = u.store.bucket.UploadPart(ctx, u.address.Multipart, int(off/l.unit+1), r, size)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end = max(u.end, off+size)
	return nil
}

func (u *Upload) writePieceUnit(ctx context.Context, p *piece, number int64, r io.Reader, size int64) error {
	to, err := u.beginPiece(ctx, p)
	if err == nil {
		_, err = u.store.bucket.UploadPart(ctx, to, int(number), r, size)
	}
	if err != nil && !errors.Is(err, errWhole) {
		return err
	}
	return u.wrotePiece(ctx, p, number, size)
}

// begin makes ctx end when the upload is taken over, too.
func (u *Upload) begin(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(u.taken, func() { cancel(context.Cause(u.taken)) })
	return ctx, func() { stop(); cancel(nil) }
}
