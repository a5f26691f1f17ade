package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// copy moves the unit from r into the file.
func (t *transfer) copy(ctx context.Context, r io.Reader, buffer []byte) error {
	for t.left != 0 {
		want := t.left
		if want == store.UnknownLength {
			want = t.room - (t.span.end - t.start)
		}
		if want == 0 {
			return t.wantEnd(ctx, r, buffer[:1])
		}
		n, readErr := t.fill(ctx, r, buffer[:min(want, int64(len(buffer)))])
		if errors.Is(readErr, store.ErrSuperseded) {
			return readErr
		}
		if err := t.put(context.WithoutCancel(ctx), buffer[:n]); err != nil {
			return err
		}
		if t.left > 0 {
			t.left -= int64(n)
		}
		if readErr == nil {
			continue
		}
		switch {
		case readErr != io.EOF:
			return fmt.Errorf("read the unit: %w", readErr)
		case t.left > 0:
			return fmt.Errorf("%d bytes are missing: %w", t.left, io.ErrUnexpectedEOF)
		}
		return nil
	}
	return nil
}

// wantEnd says whether r ends where the upload does.
func (t *transfer) wantEnd(ctx context.Context, r io.Reader, p []byte) error {
	n, err := t.fill(ctx, r, p)
	switch {
	case n > 0:
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, t.span.end)
	case err != io.EOF:
		return fmt.Errorf("read the unit: %w", err)
	}
	return nil
}

// fill reads until p is full. Between Reads it looks whether it should go on.
func (t *transfer) fill(ctx context.Context, r io.Reader, p []byte) (int, error) {
	for n, empty := 0, 0; ; {
		if n == len(p) {
			return n, nil
		}
		if err := t.upload.fence.check(t.upload.epoch); err != nil {
			return n, err
		}
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := r.Read(p[n:])
		n += m
		if err != nil {
			return n, err
		}
		if empty++; m > 0 {
			empty = 0
		} else if empty == 100 {
			return n, io.ErrNoProgress
		}
	}
}

// put writes p where the last one ended.
func (t *transfer) put(ctx context.Context, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	before := t.span.sum.CRC32C
	sum := checksum.Update(before, p)
	u := t.upload
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.fence.give()
	f := t.files
	if u.fence.files != f {
		return errClosed
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
	return fmt.Errorf("no room for %d bytes: %w", max(t.left, int64(lost)), err)
}

// log acknowledges what is in the file. It needs the turn.
func (t *transfer) log() error {
	if t.span.start == t.span.end {
		return nil
	}
	f := t.files
	if t.upload.store.syncAcks {
		if err := f.syncPart(); err != nil {
			// Nor are the unlogged bytes of parallel Writes to be trusted now.
			return errors.Join(translate(err), t.upload.fence.drop())
		}
	}
	if err := f.add(record{verb: verbWritten, span: t.span}); err != nil {
		return t.full(err, int(t.span.end-t.span.start))
	}
	if t.upload.store.syncAcks {
		if err := f.add(record{verb: verbSynced}); err != nil {
			return t.full(err, 0)
		}
		if err := f.log.Sync(); err != nil {
			return translate(err)
		}
	}
	t.span = span{start: t.span.end, end: t.span.end}
	return nil
}
