package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// readAhead is what net/http has buffered at most of a body, and hands out
// before it reads again: a burst that ends there may well go on.
const readAhead = 4 << 10

// maxEmpty is how many Reads in a row may return nothing.
const maxEmpty = 100

// copy moves the unit from r into the file. It waits for r with the sip alone:
// whatever it has is in the file then, and the files may be closed. The second full
// sip in a row is taken for a burst, and after a long one the first: of those who
// send a little now and then, nobody queues for the disk with a buffer.
func (t *transfer) copy(ctx context.Context, r io.Reader) error {
	fast := false
	for before := 0; t.span.end-t.start != t.size; {
		if t.missing() == 0 {
			return t.wantEnd(ctx, r, t.sip[:1])
		}
		p := t.sip[:min(t.missing(), sipBytes)]
		n, err := t.read(ctx, r, p)
		full := err == nil && n == sipBytes && t.missing() > sipBytes
		if full && (fast || before > 0) {
			start := t.span.end
			err = t.burst(ctx, r, p, readAhead-before)
			fast, before = t.span.end-start > readAhead, 0
		} else if putErr := t.put(ctx, p[:n]); putErr != nil {
			return putErr
		} else {
			fast, before = false, 0
			if full {
				before = n
			}
		}
		if err != nil {
			return t.reason(err)
		}
	}
	return nil
}

// missing is how many bytes may still come.
func (t *transfer) missing() int64 {
	most := t.size
	if most == store.UnknownLength {
		most = t.room
	}
	return most - (t.span.end - t.start)
}

// burst moves p, which was just read of r, and what follows through a buffer,
// for as long as r fills it: who gives less has no more at the moment, unless it
// is ahead, all that was read ahead. It returns an error of r as it is.
func (t *transfer) burst(ctx context.Context, r io.Reader, p []byte, ahead int) (err error) {
	b, err := t.buffer(t.missing())
	if err != nil {
		return err
	}
	if b.Len() == 0 {
		return t.put(ctx, p)
	}
	defer func() { err = cmp.Or(err, b.Release()) }()
	n := copy(b.Bytes(), p)
	for {
		buffer := b.Bytes()[:min(t.missing(), int64(b.Len()))]
		m, readErr := t.read(ctx, r, buffer[n:])
		if err := t.put(ctx, buffer[:n+m]); err != nil {
			return err
		}
		over := n+m < len(buffer) && n+m != ahead
		if readErr != nil || over || t.missing() == 0 {
			return readErr
		}
		n, ahead = 0, readAhead
	}
}

// reason says what an error of the source means for the unit.
func (t *transfer) reason(err error) error {
	missing := t.start + t.size - t.span.end
	switch {
	case err != io.EOF:
		return fmt.Errorf("read the unit: %w", err)
	case t.size != store.UnknownLength && missing > 0:
		return fmt.Errorf("%d bytes are missing: %w", missing, io.ErrUnexpectedEOF)
	}
	return nil
}

// wantEnd says whether r ends where the upload does.
func (t *transfer) wantEnd(ctx context.Context, r io.Reader, p []byte) error {
	n, err := t.read(ctx, r, p)
	switch {
	case n > 0:
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, t.span.end)
	case err != io.EOF:
		return fmt.Errorf("read the unit: %w", err)
	}
	return nil
}

// read reads something into p, after a look whether it should.
func (t *transfer) read(ctx context.Context, r io.Reader, p []byte) (int, error) {
	for range maxEmpty {
		if err := t.upload.fence.check(t.upload.epoch); err != nil {
			return 0, err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if n, err := r.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// put writes p where the last one ended, also where ctx has ended: that is how
// a broken connection shows.
func (t *transfer) put(ctx context.Context, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	before := t.span.sum.CRC32C
	sum := checksum.Update(before, p)
	u := t.upload
	if err := u.begin(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer u.leave()
	f := t.files
	if u.fence.files != f {
		return errClosed
	}
	if err := f.wake(); err != nil {
		return err
	}
	if err := f.announce(span{start: t.span.end, end: t.span.end + int64(len(p))}); err != nil {
		return t.full(err, len(p))
	}
	n, err := f.part.WriteAt(p, t.span.end)
	if n < len(p) {
		sum = checksum.Update(before, p[:n])
	}
	t.span.end += int64(n)
	t.span.sum = store.Sum{CRC32C: sum, Known: true}
	if err != nil {
		return t.full(err, len(p)-n)
	}
	if t.span.end-t.span.start >= t.due {
		return t.log()
	}
	return nil
}

// full adds to an error of a full disk how much room the unit needs, as far as
// its size is known.
func (t *transfer) full(err error, lost int) error {
	err = translate(err)
	if !errors.Is(err, store.ErrNoSpace) {
		return err
	}
	if t.size != store.UnknownLength {
		lost = max(lost, int(t.missing()))
	}
	return fmt.Errorf("no room for %d bytes: %w", lost, err)
}

// log acknowledges what is in the file. It needs the turn.
func (t *transfer) log() error {
	if t.span.start == t.span.end || (t.verify != nil && !t.passed) {
		return nil
	}
	f := t.files
	if t.upload.fence.files != f {
		return errClosed
	}
	if err := f.wake(); err != nil {
		return err
	}
	if err := f.acknowledge(t.span); err != nil {
		err = t.full(err, int(t.span.end-t.span.start))
		if f.unsure {
			// Nor are the unlogged bytes of parallel Writes to be trusted now.
			err = errors.Join(err, t.upload.fence.drop())
		}
		return err
	}
	t.span.start, t.span.sum = t.span.end, store.Sum{}
	return nil
}
