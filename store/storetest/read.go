package storetest

import (
	"context"
	"errors"
	"io"

	"github.com/streamflow/streamflow/store"
)

func (s *suite) open(id string) (io.ReadSeekCloser, store.Info) {
	s.Helper()
	r, info, err := s.store.(store.Reader).OpenReader(s.ctx, id)
	s.must(err)
	s.Cleanup(func() { _ = r.Close() })
	return r, info
}

// read reads an upload in pieces, before and after it is finished.
func (s *suite) read() {
	if _, ok := s.store.(store.Reader); !ok {
		return
	}
	for _, n := range []int64{0, 1, 2*s.unit + 3} {
		data := content(n)
		u, info := s.beginReadable(n)
		s.goOn(u, data)
		s.reads(info.ID, data, false)
		s.finish(u, data)
		if !s.opts.Forgets {
			s.reads(info.ID, data, true)
		}
	}
}

func (s *suite) reads(id string, data []byte, complete bool) {
	s.Helper()
	r, info := s.open(id)
	other, _ := s.open(id)
	if info.ID != id || info.Length != int64(len(data)) || info.Complete != complete {
		s.Errorf("the reader's upload is %+v", info)
	}
	got, err := io.ReadAll(r)
	s.must(err)
	s.compare(got, data)
	for _, from := range []int64{int64(len(data)) / 2, 0, int64(len(data))} {
		at, err := r.Seek(from-int64(len(data)), io.SeekEnd)
		s.must(err)
		if at != from {
			s.Fatalf("seeking to %d led to %d", from, at)
		}
		got, err := io.ReadAll(r)
		s.must(err)
		s.compare(got, data[from:])
	}
	// Readers don't share their place.
	got, err = io.ReadAll(other)
	s.must(err)
	s.compare(got, data)
	s.must(errors.Join(r.Close(), other.Close()))
}

func (s *suite) readUnfinished() {
	r, ok := s.store.(store.Reader)
	if !ok {
		return
	}
	u, half := s.beginReadable(2 * s.unit)
	s.write(u, content(2 * s.unit)[:s.unit], 0, s.unit)
	deferred, open := s.beginReadable(store.UnknownLength)
	s.write(deferred, content(s.unit), 0, s.unit)
	gone, goneInfo := s.beginReadable(0)
	s.must(gone.Abort(s.ctx))
	for id, want := range map[string]error{
		half.ID: store.ErrIncomplete, open.ID: store.ErrIncomplete,
		goneInfo.ID: store.ErrNotFound, "x": store.ErrNotFound, "../x": store.ErrNotFound,
	} {
		_, _, err := r.OpenReader(s.ctx, id)
		s.want(err, want)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, _, err := r.OpenReader(ctx, half.ID)
	s.want(err, context.Canceled)
	s.goOn(u, content(2*s.unit)) // it was not taken over
}

func (s *suite) readMeanwhile() {
	if _, ok := s.store.(store.Reader); !ok {
		return
	}
	data := content(s.unit)
	u, info := s.beginReadable(s.unit)
	s.goOn(u, data)
	r, _ := s.open(info.ID)
	half := make([]byte, s.unit/2)
	_, err := io.ReadFull(r, half)
	s.must(err)
	s.finish(u, data)
	rest, err := io.ReadAll(r)
	s.must(err)
	s.compare(append(half, rest...), data)
	if s.opts.Forgets {
		return
	}
	r, _ = s.open(info.ID)
	s.must(u.Abort(s.ctx))
	switch got, err := io.ReadAll(r); {
	case err == nil:
		s.compare(got, data)
	case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrGone):
		s.Errorf("reading what is gone: %v", err)
	}
}
