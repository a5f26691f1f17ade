package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	// bufferBytes is a transfer buffer at memory level normal, and the least
	// that is asked for under pressure.
	bufferBytes    = 256 << 10
	minBufferBytes = 16 << 10
	pageBytes      = 4 << 10

	// recordBytes are logged at once: what a kill may cost a Write under way.
	// With SyncAcks each record is synced, so it stands for more.
	recordBytes       = 512 << 10
	syncedRecordBytes = 16 << 20
)

// Write implements [store.Upload]. It takes any range at any time, and keeps
// what it took of a unit that breaks off.
func (u *Upload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	t := &transfer{upload: u, start: off, span: span{start: off, end: off}, left: size, due: recordBytes}
	if u.store.syncAcks {
		t.due = syncedRecordBytes
	}
	err := t.run(ctx, r)
	n := t.span.start - off
	if err != nil {
		return n, fmt.Errorf("write upload %s at %d: %w", u.id, off, err)
	}
	return n, nil
}

// A transfer is one Write.
type transfer struct {
	upload *Upload
	start  int64
	span   span  // in the file but not in the log; what lies before is acknowledged
	left   int64 // to read, or store.UnknownLength
	room   int64 // up to the upload's length, from start
	due    int64 // span length at which to log
	files  *files
}

func (t *transfer) run(ctx context.Context, r io.Reader) error {
	if t.left == 0 {
		return t.withFiles(ctx, func() error { return nil })
	}
	buffer, err := t.buffer(ctx)
	if err != nil {
		return err
	}
	err = t.withFiles(ctx, func() error { return t.copy(ctx, r, buffer.Bytes()) })
	return errors.Join(err, buffer.Release())
}

// buffer takes a transfer buffer from the budget, a smaller one where memory is
// short or the unit is.
func (t *transfer) buffer(ctx context.Context) (memory.Buffer, error) {
	n := bufferBytes
	switch t.upload.store.mem.Level() {
	case memory.Warning:
		n /= 4
	case memory.Critical:
		n = minBufferBytes
	}
	if t.left > 0 && t.left < int64(n) {
		n = (int(t.left) + pageBytes - 1) / pageBytes * pageBytes
	}
	// A small buffer now is better than a large one later: whoever has the
	// memory may be a Write that hangs, and that this one is to take over from.
	for ; n > minBufferBytes; n /= 4 {
		b, err := t.upload.store.mem.TryAcquire(memory.KindTransfer, n)
		if !errors.Is(err, memory.ErrFull) && !errors.Is(err, memory.ErrLimit) {
			return b, err
		}
	}
	return t.upload.store.mem.Acquire(ctx, memory.KindTransfer, max(n, pageBytes))
}

// withFiles runs fn, which takes the turn for each step of its own, with the
// upload's files open, and logs what fn left unlogged.
func (t *transfer) withFiles(ctx context.Context, fn func() error) error {
	u := t.upload
	if err := u.begin(ctx); err != nil {
		return err
	}
	f, err := u.attach()
	if err == nil {
		t.files = f
		if err = t.admit(f.state); err != nil {
			err = errors.Join(err, u.detach())
		}
	}
	u.fence.give()
	if err != nil {
		return err
	}
	err = fn()
	// What arrived is kept also where the context has ended: that is how a
	// broken connection shows.
	ended := context.WithoutCancel(ctx)
	if beginErr := u.begin(ended); beginErr != nil {
		return beginErr
	}
	defer u.fence.give()
	if u.fence.files != t.files {
		return cmp.Or(err, errClosed)
	}
	return errors.Join(err, t.log(), u.detach())
}

// errClosed is a Write whose Upload was finished or aborted, or whose disk
// failed, under its hands. The next call says which.
var errClosed = store.Transient(errors.New("the upload's files were closed meanwhile"))

// admit says whether the unit may be written.
func (t *transfer) admit(st *state) error {
	switch {
	case st.moved:
		return fmt.Errorf("%w: the upload is finished", store.ErrInvalid)
	case t.start < 0 || t.left < store.UnknownLength:
		return fmt.Errorf("%w: offset or size is negative", store.ErrInvalid)
	case len(st.written) >= maxGaps:
		return fmt.Errorf("%w: more than %d gaps are open", store.ErrInvalid, maxGaps)
	}
	length := st.length
	if length == store.UnknownLength {
		length = math.MaxInt64
	}
	t.room = length - t.start
	if t.room < 0 || t.left > t.room {
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, length)
	}
	return nil
}

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
