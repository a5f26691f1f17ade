package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

var _ store.Reader = (*Store)(nil)

// OpenReader implements store.Reader by requests for ranges, made when they are
// read.
func (s *Store) OpenReader(ctx context.Context, id string) (io.ReadSeekCloser, store.Info, error) {
	r, info, err := s.openReader(ctx, id)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("read upload %.40s: %w", id, outward(err))
	}
	return r, info, nil
}

func (s *Store) openReader(ctx context.Context, id string) (*reader, store.Info, error) {
	rec, objects, err := s.locate(ctx, id)
	if err != nil {
		return nil, store.Info{}, err
	}
	charge, err := s.reserveGet(ctx, rec.bytes)
	if err != nil {
		return nil, store.Info{}, err
	}
	info := s.info(id, rec.state)
	return &reader{
		ctx: ctx, store: s, id: id, objects: objects, length: info.Length, final: info.Complete, memory: charge,
	}, info, nil
}

// locate returns the objects that the bytes of a whole upload lie in. Where they are
// gone somebody has finished it meanwhile, or was cut off in that: what says so was
// written before.
func (s *Store) locate(ctx context.Context, id string) (record, []object, error) {
	rec, err := s.load(ctx, id)
	if err != nil {
		return record{}, nil, err
	}
	objects, err := s.readable(ctx, id, rec)
	if !isAbsent(err) {
		return rec, objects, err
	}
	if rec, err = s.read(ctx, s.finishedKey(id)); err != nil {
		return record{}, nil, err
	}
	objects, err = s.readable(ctx, id, rec)
	return rec, objects, err
}

func (s *Store) readable(ctx context.Context, id string, rec record) ([]object, error) {
	st := rec.state
	if st.Sum != nil {
		return []object{{Key: s.target(id), Size: st.Length, Sum: *st.Sum}}, nil
	}
	if err := st.whole(); err != nil {
		return nil, err
	}
	if len(st.Runs) > 0 && s.isFinal(id, &st.Runs[0]) {
		return nil, fmt.Errorf("%w: it isn't finished, and was not created to be read before", store.ErrUnsupported)
	}
	charge, err := s.reserveSend(ctx, rec.bytes)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.completeWhole(ctx, id, st), charge.Release()); err != nil {
		return nil, err
	}
	return append(asObjects(st.Runs), st.Tails...), nil
}

// A reader reads objects as one. It keeps a request open as long as it is read
// without a break.
type reader struct {
	ctx     context.Context
	store   *Store
	id      string
	objects []object
	length  int64
	off     int64
	open    *spanReader // at off
	final   bool        // the objects are what Finish made of them
	memory  memory.Reservation
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	for {
		if r.off >= r.length {
			return 0, io.EOF
		}
		if r.open == nil {
			r.open = &spanReader{ctx: r.ctx, store: r.store, spans: r.rest()}
		}
		n, err := r.open.Read(p)
		r.off += int64(n)
		if n == 0 && isAbsent(err) && !r.final {
			// It may have been finished meanwhile, as in locate.
			if _, headErr := r.store.bucket.Head(r.ctx, r.store.finishedKey(r.id)); headErr == nil {
				r.final = true
				r.objects = []object{{Key: r.store.target(r.id), Size: r.length}}
				r.open = nil
				continue
			}
		}
		if errors.Is(err, io.EOF) && r.off < r.length {
			err = io.ErrUnexpectedEOF
		}
		return n, err
	}
}

// rest is what lies behind off.
func (r *reader) rest() (spans []span) {
	start := int64(0)
	for _, o := range r.objects {
		if skip := max(r.off-start, 0); skip < o.Size {
			spans = append(spans, span{o, skip, o.Size - skip})
		}
		start += o.Size
	}
	return spans
}

// Seek implements io.Seeker.
func (r *reader) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += r.off
	case io.SeekEnd:
		off += r.length
	}
	if off < 0 {
		return 0, fmt.Errorf("%w: before the beginning", store.ErrInvalid)
	}
	if off == r.off || r.open == nil {
		r.off = off
		return off, nil
	}
	r.off = off
	err := r.open.Close()
	r.open = nil
	return off, err
}

// Close implements io.Closer.
func (r *reader) Close() (err error) {
	if r.open != nil {
		err = r.open.Close()
		r.open = nil
	}
	if r.memory == (memory.Reservation{}) {
		return err
	}
	err = errors.Join(err, r.memory.Release())
	r.memory = memory.Reservation{}
	return err
}
