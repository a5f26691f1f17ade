package storetest

import (
	"bytes"
	"errors"
	"reflect"

	"github.com/streamflow/streamflow/store"
)

// resume: a second process would do the same.
func (s *suite) resume() {
	data := content(2*s.unit + 9)
	u, info := s.begin(int64(len(data)))
	s.write(u, data, 0, s.unit)
	again, opened, err := s.store.Open(s.ctx, info.ID)
	s.must(err)
	if opened.Offset != s.unit || opened.Length != int64(len(data)) || opened.ID != info.ID {
		s.Fatalf("info of the opened upload is %+v", opened)
	}
	if asked := s.info(again); !reflect.DeepEqual(opened, asked) {
		s.Fatalf("open says %+v, and the upload %+v", opened, asked)
	}
	s.goOn(again, data)
	s.finish(again, data)
}

func (s *suite) statLeaves() {
	data := content(2 * s.unit)
	u, info := s.begin(2 * s.unit)
	s.write(u, data, 0, s.unit)
	got, err := s.store.Stat(s.ctx, info.ID)
	s.must(err)
	if got.Offset != s.unit || got.ID != info.ID {
		s.Fatalf("stat says %+v", got)
	}
	s.goOn(u, data)
	s.finish(u, data)
}

// takeover: the old Write hangs in its source while the new one does all the
// work; what the source gives in the end must not go into the object.
func (s *suite) takeover() {
	data, late := content(2*s.unit), content(2*s.unit+1)
	old, info := s.begin(2 * s.unit)
	hanging, release := make(chan struct{}), make(chan struct{})
	r := &source{data: data[:s.unit/2]}
	r.then = func() error {
		close(hanging)
		<-release
		r.data, r.then = late[s.unit/2:s.unit], func() error { return nil }
		return nil
	}
	ended := make(chan error, 1)
	go func() {
		_, err := old.Write(s.ctx, 0, r, s.unit)
		r.returned.Store(true)
		ended <- err
	}()
	<-hanging
	u, _, err := s.store.Open(s.ctx, info.ID)
	s.must(err)
	s.goOn(u, data)
	close(release)
	s.want(<-ended, store.ErrSuperseded)
	_, err = old.Write(s.ctx, 0, bytes.NewReader(late), s.unit)
	s.want(err, store.ErrSuperseded)
	s.finish(u, data)
	r.unread(s)
}

func (s *suite) unknownLength() {
	data := content(2*s.unit + 3)
	u, info := s.begin(store.UnknownLength)
	if info.Length != store.UnknownLength {
		s.Fatalf("length is %d", info.Length)
	}
	for off := int64(0); off < int64(len(data)); off += s.unit {
		s.write(u, data, off, min(off+s.unit, int64(len(data))))
	}
	if _, err := u.Finish(s.ctx, sum(data)); err == nil {
		s.Fatal("finished without a length")
	}
	s.must(u.SetLength(s.ctx, int64(len(data))))
	s.finish(u, data)
}

func (s *suite) setLength() {
	data := content(s.unit)
	u, _ := s.begin(store.UnknownLength)
	s.write(u, data, 0, s.unit)
	s.want(u.SetLength(s.ctx, s.unit-1), store.ErrInvalid)
	s.want(u.SetLength(s.ctx, -5), store.ErrInvalid)
	s.must(u.SetLength(s.ctx, s.unit))
	s.must(u.SetLength(s.ctx, s.unit))
	s.want(u.SetLength(s.ctx, s.unit+1), store.ErrInvalid)
	if got := s.info(u).Length; got != s.unit {
		s.Fatalf("length is %d", got)
	}
	s.finish(u, data)
}

func (s *suite) finishIncomplete() {
	data := content(2 * s.unit)
	u, _ := s.begin(2 * s.unit)
	s.write(u, data, 0, s.unit)
	_, err := u.Finish(s.ctx, sum(data))
	s.want(err, store.ErrIncomplete)
	if info := s.info(u); info.Complete || info.Offset != s.unit {
		s.Fatalf("info is %+v", info)
	}
	s.goOn(u, data)
	s.finish(u, data)
}

func (s *suite) finishWrongSum() {
	data := content(s.unit)
	u, _ := s.begin(s.unit)
	s.write(u, data, 0, s.unit)
	if !s.info(u).Sum.Known {
		return
	}
	wrong := sum(data)
	wrong.CRC32C ^= 1
	_, err := u.Finish(s.ctx, wrong)
	s.want(err, store.ErrChecksum)
	if s.info(u).Complete {
		s.Fatal("the object appeared")
	}
	s.finish(u, data)
}

func (s *suite) finishWithoutSum() {
	data := content(s.unit)
	u, _ := s.begin(s.unit)
	s.write(u, data, 0, s.unit)
	info, err := u.Finish(s.ctx, store.Sum{})
	s.must(err)
	s.finished(info, data)
}

func (s *suite) finishTwice() {
	data := content(s.unit + 2)
	u, created := s.begin(int64(len(data)))
	s.goOn(u, data)
	first := s.finish(u, data)
	if again := s.finish(u, data); again.Location != first.Location {
		s.Errorf("finished at %q, then at %q", first.Location, again.Location)
	}
	s.finished(s.info(u), data)

	opened, found, err := s.store.Open(s.ctx, created.ID)
	if s.opts.Forgets {
		s.want(err, store.ErrNotFound)
		return
	}
	s.must(err)
	s.finished(found, data)
	s.finished(s.info(opened), data)
	s.finish(opened, data)
}

func (s *suite) writeAfterFinish() {
	data := content(s.unit)
	u, _ := s.begin(s.unit)
	s.goOn(u, data)
	info := s.finish(u, data)
	for _, off := range []int64{0, s.unit} {
		if n, err := u.Write(s.ctx, off, bytes.NewReader(content(7)), 7); err == nil || n != 0 {
			s.Errorf("wrote %d bytes at %d to a finished object, error %v", n, off, err)
		}
	}
	s.compare(s.opts.Read(s.T, info), data)
}

func (s *suite) abort() {
	u, info := s.begin(2 * s.unit)
	s.write(u, content(2*s.unit), 0, s.unit)
	s.must(u.Abort(s.ctx))
	_, err := s.store.Stat(s.ctx, info.ID)
	s.gone(err)
	_, _, err = s.store.Open(s.ctx, info.ID)
	s.gone(err)
	_, err = u.Write(s.ctx, s.unit, bytes.NewReader(content(s.unit)), s.unit)
	s.gone(err)
	_, err = u.Finish(s.ctx, store.Sum{})
	s.gone(err)
}

func (s *suite) abortTwice() {
	u, info := s.begin(1)
	second, _, err := s.store.Open(s.ctx, info.ID)
	s.must(err)
	s.must(second.Abort(s.ctx))
	s.must(second.Abort(s.ctx))
	if err := u.Abort(s.ctx); err != nil {
		s.want(err, store.ErrSuperseded)
	}
}

// gone fails the test unless err says that there is no such upload.
func (s *suite) gone(err error) {
	s.Helper()
	if err == nil {
		s.Fatal("the upload is still there")
	}
	if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrGone) {
		s.Fatalf("error is %v, want %v or %v", err, store.ErrNotFound, store.ErrGone)
	}
}
