package clusterstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// store sends n bytes in one request, the held ones first: as a part together
// with the tails if that is enough for one, or else as a tail. Only next knows of
// it then.
func (t *transfer) store(ctx context.Context, head []byte, n int64) error {
	if n == 0 {
		return nil
	}
	body := &summed{r: io.MultiReader(bytes.NewReader(head), t.source), left: n}
	var err error
	switch {
	case t.fillsPart(n):
		err = t.storePart(ctx, body, n)
	case int64(len(head)) == n:
		err = t.storeTail(ctx, body, n, store.Sum{CRC32C: checksum.Update(0, head), Known: true})
	default:
		err = t.storeTail(ctx, body, n, store.Sum{})
	}
	switch {
	case err != nil && body.left > 0 && t.source.broke():
		return t.source.err // why the request couldn't be made
	case err != nil:
		return err
	}
	t.stored += n
	return nil
}

// fillsPart: with n bytes there are enough for a part, or they are the last.
func (t *transfer) fillsPart(n int64) bool {
	st := t.next
	return st.tailBytes()+n >= bucket.MinPartBytes || (st.openRun() != nil && st.offset()+n == st.Length)
}

func (t *transfer) storePart(ctx context.Context, body *summed, n int64) error {
	if err := t.beginRun(ctx); err != nil {
		return err
	}
	st, b := t.next, t.upload.store.bucket
	r, tails := st.openRun(), st.Tails
	kept := t.upload.store.contents(ctx, tails)
	var whole io.Reader = body
	if len(tails) > 0 {
		whole = io.MultiReader(kept, body)
	}
	p, err := b.UploadPart(ctx, r.multipart(), len(r.Parts)+1, whole, st.tailBytes()+n)
	err = errors.Join(err, kept.Close())
	if err != nil {
		if body.left == 0 && isUnsure(err) {
			t.upload.store.doubts.note(t.upload.id) // it may come late
		}
		return t.lost(ctx, err)
	}
	if p.Sum.CRC32C != checksum.Combine(sumOf(tails), body.sum, n) {
		return store.Transient(fmt.Errorf("%w: what was kept of a part came back wrong", store.ErrChecksum))
	}
	r.add(p)
	st.Tails = nil
	t.drop(tails)
	return nil
}

// storeTail puts the last tails and n bytes into an object. Each tail left is at
// least twice as large as the next, so there are few, and a byte is written again
// only so often as its tail grows by half. The sum of the n bytes may be known.
func (t *transfer) storeTail(ctx context.Context, body *summed, n int64, sum store.Sum) error {
	st, s := t.next, t.upload.store
	first, size := len(st.Tails), n
	for first > 0 && st.Tails[first-1].Size < 2*size {
		first--
		size += st.Tails[first].Size
	}
	absorbed := st.Tails[first:]
	o := object{Key: s.newDataKey(t.upload.id), Size: size}
	t.fresh = append(t.fresh, bucket.Multipart{Key: o.Key})
	kept := s.contents(ctx, absorbed)
	if sum.Known {
		sum.CRC32C = checksum.Combine(sumOf(absorbed), sum.CRC32C, n)
	}
	stored := bucket.Object{Key: o.Key, Size: size, Sum: sum}
	err := s.bucket.PutPiece(ctx, &stored, io.MultiReader(kept, body), bucket.Always)
	if err = errors.Join(err, kept.Close()); err != nil {
		return t.lost(ctx, err)
	}
	o.Sum = stored.Sum.CRC32C
	if o.Sum != checksum.Combine(sumOf(absorbed), body.sum, n) {
		return store.Transient(fmt.Errorf("%w: what was kept of a part came back wrong", store.ErrChecksum))
	}
	t.drop(absorbed)
	st.Tails = append(st.Tails[:first:first], o)
	return nil
}

// drop forgets objects with the next commit.
func (t *transfer) drop(objects []object) {
	for _, o := range objects {
		t.stale = append(t.stale, bucket.Multipart{Key: o.Key})
	}
}

// load reads a state in the memory of the transfer, which others may wait for.
func (t *transfer) load(ctx context.Context, id string) (record, error) {
	return t.upload.store.loadWithin(ctx, id, t.stateRoom)
}

// lost explains where a request failed because of what there is: mostly a newer
// state.
func (t *transfer) lost(ctx context.Context, err error) error {
	gone := isAbsent(err)
	if !gone && !isUnsure(err) {
		return err
	}
	switch rec, readErr := t.load(ctx, t.upload.id); {
	case isAbsent(readErr):
		return readErr
	case readErr != nil:
	case rec.etag != t.upload.record.etag:
		t.upload.take(store.ErrSuperseded)
		return store.ErrSuperseded
	case gone:
		return fmt.Errorf("%w: somebody else removed bytes of it: %v", store.ErrGone, err)
	}
	return err
}
