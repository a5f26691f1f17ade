package filestore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	// A Write waits for its source with a sip, and takes a buffer when more is
	// there: one of bufferBytes where memory is to spare, of minBufferBytes at least.
	sipBytes       = 512
	bufferBytes    = 256 << 10
	minBufferBytes = 16 << 10

	// recordBytes are logged at once: what a kill may cost a Write under way.
	// With SyncAcks each record is synced, so it stands for more.
	recordBytes       = 512 << 10
	syncedRecordBytes = 16 << 20
)

// Write implements [store.Upload]. It takes any range at any time, and keeps
// what it took of a unit that breaks off.
func (u *Upload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	due := int64(recordBytes)
	if u.store.syncAcks {
		due = syncedRecordBytes
	}
	return u.write(ctx, off, r, &transfer{size: size, due: due})
}

// WriteVerified implements [store.Verifier]. The unit's bytes are in the file as
// they come, behind what the log says is there, so nothing finds them before
// the record that verify allows.
func (u *Upload) WriteVerified(ctx context.Context, off int64, r io.Reader, size int64, verify func() error) (int64, error) {
	return u.write(ctx, off, r, &transfer{size: size, due: math.MaxInt64, verify: verify})
}

func (u *Upload) write(ctx context.Context, off int64, r io.Reader, t *transfer) (int64, error) {
	t.upload, t.start, t.span = u, off, span{start: off, end: off}
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
	size   int64        // of the unit, or store.UnknownLength
	room   int64        // up to the upload's length, from start
	due    int64        // span length at which to log
	verify func() error // decides on the whole unit, or nil
	// span is in the file but not in the log; what lies before is acknowledged.
	// With the turn anybody may log it, which leaves its end as it is.
	span   span
	files  *files
	passed bool // verify, without which nothing is logged
	sip    [sipBytes]byte
}

// run takes the turn for each step. In between the upload's files are there, and
// little is on the stack while the source is waited for.
func (t *transfer) run(ctx context.Context, r io.Reader) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	err := t.copy(ctx, r)
	if err == nil {
		err = t.decide()
	}
	return t.close(ctx, err)
}

// decide says whether a unit that came whole is kept.
func (t *transfer) decide() error {
	if t.verify == nil {
		return nil
	}
	if err := t.verify(); err != nil {
		return fmt.Errorf("verify the unit: %w", err)
	}
	return nil
}

// buffer takes a transfer buffer for at most n bytes from the budget, a smaller
// one where memory is short. It is the zero Buffer where there is no room: then
// the sip does, and nobody who has bytes waits for memory.
func (t *transfer) buffer(n int64) (memory.Buffer, error) {
	mem, least := t.upload.store.mem, int(min(n, minBufferBytes))
	b, err := mem.AcquireSpare(memory.KindTransfer, least, int(min(n, bufferBytes)))
	if isFull(err) {
		b, err = mem.TryAcquire(memory.KindTransfer, least)
	}
	if isFull(err) {
		return memory.Buffer{}, nil
	}
	return b, err
}

func isFull(err error) bool { return errors.Is(err, memory.ErrFull) || errors.Is(err, memory.ErrLimit) }

func (t *transfer) open(ctx context.Context) (err error) {
	u := t.upload
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.leave()
	onNewStack(func() {
		var f *files
		if f, err = u.attach(); err != nil {
			return
		}
		if err = t.join(f); err != nil {
			err = errors.Join(err, u.detach(f))
		}
	})
	return err
}

// close logs what is left to be logged after err.
func (t *transfer) close(ctx context.Context, err error) error {
	u := t.upload
	// What arrived is kept also where the context has ended: that is how a
	// broken connection shows.
	if err := u.begin(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer u.leave()
	if u.fence.files != t.files {
		return cmp.Or(err, errClosed)
	}
	u.fence.writes = slices.DeleteFunc(u.fence.writes, func(w *transfer) bool { return w == t })
	t.passed = err == nil
	onNewStack(func() { err = errors.Join(err, t.log(), u.detach(t.files)) })
	return err
}

// join makes t one of the Writes under way. It needs the turn.
func (t *transfer) join(f *files) error {
	if err := t.admit(f.state); err != nil {
		return err
	}
	t.files = f
	t.upload.fence.writes = append(t.upload.fence.writes, t)
	return nil
}

// errClosed is a Write whose Upload was finished or aborted, or whose disk
// failed, under its hands. The next call says which.
var errClosed = store.Transient(errors.New("the upload's files were closed meanwhile"))

// admit says whether the unit may be written.
func (t *transfer) admit(st *state) error {
	switch {
	case st.moved:
		return fmt.Errorf("%w: the upload is finished", store.ErrInvalid)
	case t.start < 0 || t.size < store.UnknownLength:
		return fmt.Errorf("%w: offset or size is negative", store.ErrInvalid)
	case len(st.written) >= maxGaps:
		return fmt.Errorf("%w: more than %d gaps are open", store.ErrInvalid, maxGaps)
	}
	length := st.length
	if length == store.UnknownLength {
		length = math.MaxInt64
	}
	t.room = length - t.start
	if t.room < 0 || t.size > t.room {
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, length)
	}
	end := length
	if t.size >= 0 {
		end = t.start + t.size
	}
	if t.verify != nil && st.written.overlap(span{start: t.start, end: end}) {
		return fmt.Errorf("%w: bytes that are there can't be replaced by ones to be verified", store.ErrInvalid)
	}
	return nil
}
