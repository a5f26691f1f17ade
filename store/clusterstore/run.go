package clusterstore

import (
	"context"
	"fmt"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

// beginRun makes sure that there is an open run with a part to spare.
func (t *transfer) beginRun(ctx context.Context) error {
	st, s := t.next, t.upload.store
	ended := st.Runs
	if r := st.openRun(); r != nil {
		if len(r.Parts) < s.opts.MaxParts-s.opts.MaxParts/10 {
			return nil
		}
		st.freeze()
		ended = ended[:len(ended)-1] // it has parts that the state doesn't name yet
	}
	if err := s.completeRuns(ctx, t.upload.id, ended); err != nil {
		return t.lost(ctx, err)
	}
	r, err := s.newRun(ctx, t.upload.id, st)
	if err != nil {
		return err
	}
	t.fresh = append(t.fresh, r.multipart())
	// Those before it that are small become parts of it, so that there are few:
	// each is at least twice as large as the next. S3 copies them.
	first, size := len(st.Runs), t.unit()
	for first > 0 && st.Runs[first-1].Multipart == "" && st.Runs[first-1].Size < 2*size {
		first--
		size += st.Runs[first].Size
	}
	absorbed := asObjects(st.Runs[first:])
	if err := s.copyInto(ctx, &r, absorbed); err != nil {
		return t.lost(ctx, err)
	}
	t.drop(absorbed)
	st.Runs = append(st.Runs[:first:first], r)
	return nil
}

// newRun begins a multipart upload: the first is of the final key, unless the
// upload's bytes must be readable before it is finished.
func (s *Store) newRun(ctx context.Context, id string, st *state) (run, error) {
	if len(st.Runs) > 0 || st.Readable {
		m, err := s.bucket.CreatePiece(ctx, s.newDataKey(id))
		return run{Key: m.Key, Multipart: m.ID}, err
	}
	m, err := s.bucket.CreateMultipart(ctx, s.target(id), s.object(id, st))
	return run{Key: m.Key, Multipart: m.ID}, err
}

// object is what is kept with the finished object.
func (s *Store) object(id string, st *state) bucket.Object {
	return bucket.Object{
		Key: s.target(id), Name: string(st.Name), Mark: id, Metadata: bucket.FitMetadata(st.metadata()),
		Coding: st.Coding, Sniffed: st.Sniffed,
	}
}

// isFinal: the run's multipart upload is the one that becomes the object.
func (s *Store) isFinal(id string, r *run) bool { return r.Key == s.target(id) }

// completeWhole is completeRuns for an upload that is whole. What may be read before
// it is finished was perhaps completed for that: reading takes nothing over, so no
// state says so, and a look costs less than to complete it again.
func (s *Store) completeWhole(ctx context.Context, id string, st *state) error {
	for i := range st.Runs {
		r := &st.Runs[i]
		if !st.Readable || r.Multipart == "" {
			continue
		}
		switch there, err := s.isObject(ctx, r); {
		case err != nil:
			return fmt.Errorf("look at a run: %w", err)
		case there:
			r.completed()
		}
	}
	return s.completeRuns(ctx, id, st.Runs)
}

// completeRuns makes objects of the runs that take no more parts, which also ends
// what late parts of theirs could go to. It may be done twice, and at two places.
// The memory for it is the caller's.
func (s *Store) completeRuns(ctx context.Context, id string, runs []run) error {
	for i := range runs {
		r := &runs[i]
		if r.Multipart == "" || s.isFinal(id, r) {
			continue
		}
		if err := s.completeRun(ctx, r); err != nil {
			return fmt.Errorf("complete a run: %w", err)
		}
	}
	return nil
}

// completeRun asks for the object whatever the answer is: somebody else may have
// completed the run, or be at it, which some services take for a success.
func (s *Store) completeRun(ctx context.Context, r *run) error {
	err := s.bucket.CompleteMultipart(ctx, r.multipart(), r.list(), store.Sum{CRC32C: r.Sum, Known: true}, false)
	if err != nil && !isAbsent(err) && !isUnsure(err) {
		return err
	}
	there, headErr := s.isObject(ctx, r)
	switch {
	case there:
		r.completed()
		return nil
	case err != nil:
		return err
	case headErr != nil:
		return headErr
	}
	return errNoObject
}

// isObject: the run was completed. Its key is used once, so it is no other object.
func (s *Store) isObject(ctx context.Context, r *run) (bool, error) {
	o, err := s.bucket.Head(ctx, r.Key)
	if isAbsent(err) {
		return false, nil
	}
	return err == nil && o.Size == r.Size, err
}

// copyInto adds objects to the end of a run.
func (s *Store) copyInto(ctx context.Context, r *run, objects []object) error {
	parts, err := s.compose(ctx, r.multipart(), r.list(), objects)
	if err != nil {
		return err
	}
	for _, p := range parts[len(r.Parts):] {
		r.Parts = append(r.Parts, part{ETag: p.ETag, Size: p.Size, Sum: p.Sum})
	}
	for _, o := range objects { // a copied part may come without a sum
		r.grow(o.Size, o.Sum)
	}
	return nil
}
