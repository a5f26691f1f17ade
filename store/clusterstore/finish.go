package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

// Finish implements store.Upload. Its steps may be cut off after any of them, or
// done by two nodes at once; the next Finish goes on there.
func (u *Upload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	info, err := u.finish(ctx, sum)
	if err != nil {
		return store.Info{}, fmt.Errorf("finish upload %s: %w", u.id, outward(err))
	}
	return info, nil
}

func (u *Upload) finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	if err := u.begin(ctx); err != nil {
		return store.Info{}, err
	}
	defer u.end()
	s := u.store
	if err := u.own(ctx); err != nil {
		return store.Info{}, err
	}
	st, err := u.state(ctx)
	if err == nil {
		err = st.whole()
	}
	if err != nil {
		return store.Info{}, err
	}
	if have := st.sum(); sum.Known && sum != have {
		return store.Info{}, fmt.Errorf("%w: %08x was sent, %08x is stored", store.ErrChecksum, sum.CRC32C, have.CRC32C)
	}
	if st.Sum != nil {
		return s.info(u.id, st), nil
	}
	charge, err := s.reserveSend(ctx, u.record.bytes)
	if err != nil {
		return store.Info{}, err
	}
	defer func() { _ = charge.Release() }()
	if err := s.appear(ctx, u.id, st); err != nil {
		return store.Info{}, err
	}
	return u.settle(ctx, st)
}

// settle notes that the upload is finished, and removes what isn't needed any
// more: the state last, by which the rest is found.
func (u *Upload) settle(ctx context.Context, st *state) (store.Info, error) {
	s := u.store
	total := st.sum().CRC32C
	done := st.clone()
	done.Sum, done.Runs, done.Tails, done.Modified = &total, nil, nil, time.Now().UTC()
	rec, err := s.write(ctx, s.finishedKey(u.id), done, bucket.Absent)
	if errors.Is(err, store.ErrTaken) {
		rec, err = s.read(ctx, s.finishedKey(u.id))
		if err == nil && (rec.state.Length != st.Length || rec.state.sum() != st.sum()) {
			err = fmt.Errorf("%w: another upload of this id is finished", store.ErrExists)
		}
	}
	if err != nil {
		return store.Info{}, err
	}
	for _, m := range u.leftovers(st) {
		s.removeData(ctx, m)
	}
	if err := s.bucket.Remove(ctx, s.uploadKey(u.id)); err != nil {
		return store.Info{}, err
	}
	u.record = rec
	return s.info(u.id, rec.state), nil
}

// leftovers are what a finished upload's state names.
func (u *Upload) leftovers(st *state) (all []bucket.Multipart) {
	for i := range st.Runs {
		if r := &st.Runs[i]; !u.store.isFinal(u.id, r) {
			all = append(all, bucket.Multipart{Key: r.Key})
		}
	}
	for _, o := range st.Tails {
		all = append(all, bucket.Multipart{Key: o.Key})
	}
	return all
}

// appear makes the object, where it isn't there already. It is tried again where
// a late part of an old owner has replaced one just now, or another node is at it.
func (s *Store) appear(ctx context.Context, id string, st *state) error {
	for try := 1; ; try++ {
		err := s.assemble(ctx, id, st)
		if err == nil {
			return nil
		}
		met := errors.Is(err, store.ErrExists) || isAbsent(err)
		if !met && !isUnsure(err) {
			return err
		}
		o, headErr := s.bucket.Head(ctx, s.target(id))
		switch {
		case headErr == nil && st.made(id, o):
			return nil // an earlier Finish, or another node's, got further
		case headErr == nil && met, try == attempts:
			return err
		case headErr != nil && !isAbsent(headErr) && !isUnsure(headErr):
			return headErr
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// assemble makes one object of the runs and the tails.
func (s *Store) assemble(ctx context.Context, id string, st *state) (err error) {
	if len(st.Runs) == 0 {
		o := s.object(id, st)
		o.Size, o.Sum = st.Length, st.sum()
		tails := s.contents(ctx, st.Tails)
		err := s.bucket.Put(ctx, &o, tails, bucket.Absent)
		return errors.Join(err, tails.Close())
	}
	st = st.clone()
	if err := s.completeWhole(ctx, id, st); err != nil {
		return err
	}
	final, rest := st.Runs[0], st.Runs[1:]
	if !s.isFinal(id, &final) {
		m, err := s.bucket.CreateMultipart(ctx, s.target(id), s.object(id, st))
		if err != nil {
			return err
		}
		final, rest = run{Key: m.Key, Multipart: m.ID}, st.Runs
		defer func() {
			if err != nil {
				s.removeData(context.WithoutCancel(ctx), m)
			}
		}()
	}
	parts, err := s.compose(ctx, final.multipart(), final.list(), append(asObjects(rest), st.Tails...))
	if err != nil {
		return err
	}
	if err := s.bucket.CompleteMultipart(ctx, final.multipart(), parts, st.sum(), true); err != nil {
		return err
	}
	return s.confirm(ctx, id, st)
}

// errNoObject is what some services answer while another request is at it.
var errNoObject = store.Transient(errors.New("the upload is said to be complete, and there is no object"))

// confirm looks whether the object is there, before what it is made of goes.
func (s *Store) confirm(ctx context.Context, id string, st *state) error {
	o, err := s.bucket.Head(ctx, s.target(id))
	switch {
	case isAbsent(err):
		return errNoObject
	case err != nil:
		return err
	case !st.made(id, o):
		return fmt.Errorf("%w: it is somebody else's object", store.ErrExists)
	}
	return nil
}

// made says whether an object is what becomes of st. Ids that clients choose may come
// again with other bytes.
func (st *state) made(id string, o bucket.Object) bool {
	return o.Mark == id && o.Size == st.Length && (!o.Sum.Known || o.Sum == st.sum())
}

// asObjects is what runs are once they are completed.
func asObjects(runs []run) []object {
	objects := make([]object, len(runs))
	for i, r := range runs {
		objects[i] = object{Key: r.Key, Size: r.Size, Sum: r.Sum}
	}
	return objects
}
