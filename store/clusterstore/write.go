package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	// A Write waits for its source with a sip, and takes the rest of its memory
	// when there are bytes.
	sipBytes = 512
	// leadBytes are held of every Write before the first request, so that a body
	// that ends or breaks off there costs no more than its bytes.
	leadBytes = 64 << 10

	// growthBytes is how much longer a state may become by parts that are added, before
	// there has to be more memory for it.
	growthBytes = 2 << 10

	// partBytes is the size of a part up to a tenth of the parts that an upload may
	// have. From there on parts grow with what is there, so that their number grows
	// by its logarithm.
	partBytes = 8 << 20

	// What a Write has stored is acknowledged every so many bytes, or so often.
	commitBytes    = 32 << 20
	commitInterval = 5 * time.Second
)

// Write implements store.Upload. Of a body of known size that breaks off in a
// part, that part is lost; of any other nothing is.
func (u *Upload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	return u.write(ctx, off, r, size, nil)
}

// WriteVerified implements store.Verifier. The state hears of the unit's parts
// only once they are verified.
func (u *Upload) WriteVerified(ctx context.Context, off int64, r io.Reader, size int64, verify func() error) (int64, error) {
	return u.write(ctx, off, r, size, verify)
}

func (u *Upload) write(ctx context.Context, off int64, r io.Reader, size int64, verify func() error) (int64, error) {
	t := &transfer{upload: u, start: off, size: size, verify: verify}
	if err := t.run(ctx, r); err != nil {
		return t.acknowledged, fmt.Errorf("write upload %s at %d: %w", u.id, off, outward(err))
	}
	return t.acknowledged, nil
}

// A transfer is one Write.
type transfer struct {
	upload *Upload
	start  int64
	size   int64 // of the unit, or store.UnknownLength
	verify func() error

	source *source
	memory memory.Reservation
	// stateRoom is how long a state there is memory for; more is what was taken on the
	// way.
	stateRoom int64
	more      []memory.Reservation
	buffer    memory.Buffer
	// hold has bytes be held until they are stored, whatever the size.
	hold bool
	// next is the state once what is stored is committed; fresh are the objects and
	// multipart uploads that no state but it may name, and stale are those it doesn't
	// any more.
	next         *state
	fresh, stale []bucket.Multipart // an object has no ID
	stored       int64              // bytes of the unit
	acknowledged int64
	unsure       bool      // whether what is stored is acknowledged
	committed    time.Time // when that was last
	refreshAt    time.Time // when the state is too old, if nothing is committed until then
	sip          [sipBytes]byte
}

func (t *transfer) run(ctx context.Context, r io.Reader) error {
	u := t.upload
	if err := u.begin(ctx); err != nil {
		return err
	}
	defer u.end()
	u.mu.Lock()
	u.writes++
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		u.writes--
		u.mu.Unlock()
	}()
	if err := u.own(ctx); err != nil {
		return err
	}
	if err := t.admit(ctx, r); err != nil {
		return err
	}
	head, err := t.source.fill(t.sip[:])
	if head == 0 {
		if err == io.EOF {
			err = t.decide()
		}
		return err
	}
	if t.start == 0 && t.next.Coding == "" { // else they tell of the coding only
		t.next.Sniffed = bucket.MediaType(t.sip[:head])
	}
	if chargeErr := t.charge(ctx); chargeErr != nil {
		return chargeErr
	}
	// What has come is stored, whether or not anybody still waits for it.
	ctx = context.WithoutCancel(ctx)
	err = t.copy(ctx, t.sip[:head], err)
	err = errors.Join(err, t.buffer.Release())
	return errors.Join(t.close(ctx, err), t.release())
}

// admit checks the unit against its upload.
func (t *transfer) admit(ctx context.Context, r io.Reader) error {
	st, err := t.upload.state(ctx)
	if err != nil {
		return err
	}
	length, off := st.Length, st.offset()
	if length == store.UnknownLength {
		length = t.upload.store.opts.MaxLength
	}
	switch {
	case st.Sum != nil:
		return fmt.Errorf("%w: the upload is finished", store.ErrInvalid)
	case t.start < 0 || t.size < store.UnknownLength:
		return fmt.Errorf("%w: offset or size is negative", store.ErrInvalid)
	case t.start != off:
		return &store.OffsetError{Expected: off, Provided: t.start}
	case t.size > length-off:
		return fmt.Errorf("%w: the upload ends at %d", store.ErrTooLarge, length)
	}
	t.next, t.committed = st.clone(), time.Now()
	t.refreshAt = st.Modified.Add(t.upload.store.refreshInterval)
	t.hold = st.Careful || t.size == store.UnknownLength
	t.source = &source{ctx: ctx, taken: t.upload.taken, r: r, left: t.size, room: length - off, before: t.refresh}
	return nil
}

// copy stores what the source has, of which head has come; it may have ended.
func (t *transfer) copy(ctx context.Context, head []byte, ended error) (err error) {
	p := t.buffer.Bytes()
	filled := copy(p, head)
	for {
		if !t.hold {
			p = p[:leadBytes]
		}
		if ended == nil {
			var n int
			n, ended = t.source.fill(p[filled:])
			filled += n
		}
		switch {
		case ended != nil && t.verify != nil && ended != io.EOF:
			return ended // no byte of it counts
		case ended != nil || t.hold || t.source.left == 0:
			err = t.store(ctx, p[:filled], int64(filled))
		default:
			err = t.stream(ctx, p[:filled])
		}
		filled = 0
		if err != nil {
			return err
		}
		if ended == nil && t.source.left == 0 {
			ended = t.source.end()
		}
		switch {
		case ended == io.EOF:
			return t.decide()
		case ended != nil:
			return ended
		}
		if err := t.commitDue(ctx); err != nil {
			return err
		}
		t.relax()
	}
}

// charge takes the memory of a Write in one step, and more for bytes that are
// held, where there is room. It makes one request after the other, only that a part
// may begin with tails that are got meanwhile.
func (t *transfer) charge(ctx context.Context) (err error) {
	s := t.upload.store
	t.stateRoom = t.upload.record.bytes + growthBytes
	sizes := append(s.sendSizes(t.stateRoom), leadBytes)
	if ctx.Err() == nil {
		t.memory, err = s.reserve(ctx, sizes...)
	} else {
		// Nobody waits any more, but what came is kept if that needs no waiting.
		t.memory, err = s.mem.TryReserve(memory.KindConnection, sizes...)
	}
	if err != nil {
		return err
	}
	most := t.unit()
	if t.source.left >= 0 {
		most = min(most, t.source.left+sipBytes)
	}
	if t.hold && most > leadBytes {
		if t.buffer, err = s.mem.AcquireSpare(memory.KindChunk, int(min(2*leadBytes, most)), int(most)); err == nil {
			return nil
		}
	}
	if t.buffer, err = t.memory.Acquire(memory.KindTransfer, leadBytes); err != nil {
		return errors.Join(err, t.memory.Release())
	}
	return nil
}

// relax goes back to streaming once as much has been held as may be lost then.
func (t *transfer) relax() {
	if t.hold && t.size >= 0 && t.stored >= t.unit() {
		t.hold, t.next.Careful = false, false
	}
}

// stream stores one unit of which head is held, and the rest comes from the
// source meanwhile.
func (t *transfer) stream(ctx context.Context, head []byte) error {
	n := max(min(int64(len(head))+t.source.left, t.unit()), int64(len(head)))
	if !t.fillsPart(n) && !t.roomForTail() {
		t.hold = true
		return t.store(ctx, head, int64(len(head)))
	}
	err := t.store(ctx, head, n)
	if err != nil && t.source.broke() && t.verify == nil {
		t.next.Careful = true
	}
	return err
}

// roomForTail takes the memory of a tail whose sum isn't known at its beginning.
// Without, the tail is stored as it is held, in more requests.
func (t *transfer) roomForTail() bool {
	b := t.upload.store.bucket
	more, err := t.upload.store.mem.TryReserve(memory.KindConnection, b.PutBytes(store.Sum{})-b.RequestBytes())
	if err != nil {
		return false
	}
	t.more = append(t.more, more)
	return true
}

// unit is how many bytes go into the next part with the tails.
func (t *transfer) unit() int64 {
	grown := t.next.offset() / int64(t.upload.store.opts.MaxParts/10+1)
	return min(max(partBytes, grown), bucket.MaxPartBytes) - t.next.tailBytes()
}

// decide says whether a unit that came whole is kept.
func (t *transfer) decide() error {
	if t.verify == nil {
		t.next.Careful = t.next.Careful && t.stored == 0
		return nil
	}
	if err := t.verify(); err != nil {
		return fmt.Errorf("verify the unit: %w", err)
	}
	return nil
}

func (t *transfer) commitDue(ctx context.Context) error {
	uncommitted := t.stored - t.acknowledged
	if t.verify != nil || uncommitted < commitBytes && time.Since(t.committed) < commitInterval {
		return nil
	}
	return t.commit(ctx)
}

// commit acknowledges what is stored.
func (t *transfer) commit(ctx context.Context) error {
	u := t.upload
	t.next.Modified = time.Now().UTC()
	if err := u.commit(ctx, t.next); err != nil {
		t.unsure = u.record.state == nil
		return err
	}
	t.acknowledged, t.committed = t.stored, time.Now()
	t.refreshAt = t.committed.Add(u.store.refreshInterval)
	for _, m := range t.stale {
		u.store.removeData(ctx, m)
	}
	t.fresh, t.stale = slices.DeleteFunc(t.fresh, t.next.names), nil
	t.next = u.record.state.clone()
	return t.makeRoom()
}

// makeRoom takes memory for a state whose list of parts has grown. It can't be waited
// for while other memory is held, but by the next Write.
func (t *transfer) makeRoom() error {
	if t.upload.record.bytes <= t.stateRoom {
		return nil
	}
	more, err := t.upload.store.mem.TryReserve(memory.KindConnection, stateCost*t.upload.record.bytes)
	if err != nil {
		return store.Transient(fmt.Errorf("the list of parts has grown: %w", err))
	}
	t.more = append(t.more, more)
	t.stateRoom += t.upload.record.bytes
	return nil
}

// release gives all memory back.
func (t *transfer) release() error {
	err := t.memory.Release()
	for _, more := range t.more {
		err = errors.Join(err, more.Release())
	}
	return err
}

// close acknowledges what is left after err, and removes what came to nothing.
func (t *transfer) close(ctx context.Context, err error) error {
	u := t.upload
	if r := t.next.openRun(); r != nil && len(r.Parts) == 0 {
		t.next.Runs = t.next.Runs[:len(t.next.Runs)-1] // no state has a run without parts
	}
	if t.verify == nil || err == nil {
		if st := u.record.state; st != nil && (t.stored > t.acknowledged || t.next.Careful != st.Careful) {
			switch committed := t.commit(ctx); {
			case errors.Is(committed, store.ErrSuperseded):
				err = committed // that is why, whatever it was
			default:
				err = errors.Join(err, committed)
			}
		}
	}
	if u.taken.Err() != nil {
		err = context.Cause(u.taken)
	}
	t.discard(ctx, errors.Is(err, store.ErrSuperseded))
	return err
}

// discard removes what no state names. A commit whose answer was lost may have been
// carried out before the newer state was written, which then names it too. What that
// one doesn't name no later one will.
func (t *transfer) discard(ctx context.Context, superseded bool) {
	named := namesOf{load: t.load}
	for _, m := range t.fresh {
		if t.unsure && t.next.names(m) {
			continue // so may the state
		}
		if superseded {
			if has, err := named.has(ctx, t.upload.id, m); has || err != nil {
				continue // RemoveOrphans knows it later
			}
		}
		t.upload.store.removeData(ctx, m)
	}
}

// removeData is remove of what no state names. If that fails, RemoveOrphans finds it.
func (s *Store) removeData(ctx context.Context, m bucket.Multipart) { _ = s.remove(ctx, m) }

// remove removes an object, or ends a multipart upload.
func (s *Store) remove(ctx context.Context, m bucket.Multipart) error {
	if m.ID == "" {
		return s.bucket.Remove(ctx, m.Key)
	}
	return s.bucket.AbortMultipart(ctx, m)
}
