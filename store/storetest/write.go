package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/streamflow/streamflow/store"
)

func (s *suite) writeAndFinish() {
	data := content(3*s.unit + 777)
	u, _ := s.begin(int64(len(data)))
	for off := int64(0); off < int64(len(data)); off += s.unit {
		end := min(off+s.unit, int64(len(data)))
		s.write(u, data, off, end)
		info := s.info(u)
		if info.Offset != end || info.Written != nil || info.Complete {
			s.Fatalf("%d bytes written, but info is %+v", end, info)
		}
		if info.Sum.Known && info.Sum != sum(data[:end]) {
			s.Fatalf("sum of %d bytes is %08x", end, info.Sum.CRC32C)
		}
	}
	s.finish(u, data)
}

func (s *suite) emptyObject() {
	u, _ := s.begin(0)
	n, err := u.Write(s.ctx, 0, bytes.NewReader(nil), 0)
	s.must(err)
	if n != 0 {
		s.Errorf("wrote %d bytes of none", n)
	}
	s.finish(u, nil)

	unwritten, _ := s.begin(0)
	s.finish(unwritten, nil)
}

func (s *suite) writeAll() {
	data := content(s.unit + 1)
	u, _ := s.begin(int64(len(data)))
	n, err := u.Write(s.ctx, 0, bytes.NewReader(data), store.UnknownLength)
	s.must(err)
	if n != int64(len(data)) {
		s.Fatalf("wrote %d bytes of %d", n, len(data))
	}
	s.finish(u, data)
}

func (s *suite) writeLeavesRest() {
	data := content(2 * s.unit)
	s.leavesRest(data, bytes.NewReader(data))
}

// A bytes.Buffer is a store.Lender.
func (s *suite) writeLeavesRestOfLender() {
	data := content(2 * s.unit)
	s.leavesRest(data, bytes.NewBuffer(data))
}

func (s *suite) leavesRest(data []byte, r interface {
	io.Reader
	Len() int
},
) {
	u, _ := s.begin(2 * s.unit)
	for off := int64(0); off < 2*s.unit; off += s.unit {
		n, err := u.Write(s.ctx, off, r, s.unit)
		s.must(err)
		if n != s.unit || int64(r.Len()) != s.unit-off {
			s.Fatalf("wrote %d of %d bytes, and %d are left", n, s.unit, r.Len())
		}
	}
	s.finish(u, data)
}

func (s *suite) writeTooLong() {
	data := content(s.unit + 1)
	u, _ := s.begin(s.unit)
	n, err := u.Write(s.ctx, 0, bytes.NewReader(data), s.unit+1)
	s.want(err, store.ErrTooLarge)
	s.holds(s.info(u), store.Range{End: n})
	n, err = u.Write(s.ctx, s.info(u).Offset, bytes.NewReader(data[s.info(u).Offset:]), store.UnknownLength)
	s.want(err, store.ErrTooLarge)
	s.holds(s.info(u), store.Range{End: n})
	s.goOn(u, data[:s.unit])
	s.finish(u, data[:s.unit])
}

// writeElsewhere: an unordered store takes the last unit first, an ordered one
// says which it wants.
func (s *suite) writeElsewhere() {
	data := content(2 * s.unit)
	u, _ := s.begin(2 * s.unit)
	if s.limits.Unordered {
		s.write(u, data, s.unit, 2*s.unit)
		info := s.info(u)
		if info.Offset != 0 || len(info.Written) != 1 || info.Written[0] != (store.Range{Start: s.unit, End: 2 * s.unit}) {
			s.Fatalf("the second unit is written, but info is %+v", info)
		}
	} else {
		n, err := u.Write(s.ctx, s.unit, bytes.NewReader(data[s.unit:]), s.unit)
		var wrong *store.OffsetError
		if n != 0 || !errors.As(err, &wrong) || wrong.Expected != 0 || wrong.Provided != s.unit {
			s.Fatalf("wrote %d bytes, error is %v", n, err)
		}
		if off := s.info(u).Offset; off != 0 {
			s.Fatalf("offset is %d", off)
		}
	}
	s.goOn(u, data)
	s.finish(u, data)
}

func (s *suite) writeAgain() {
	data, wrong := content(3*s.unit), content(3*s.unit+1)
	u, _ := s.begin(3 * s.unit)
	s.write(u, wrong, 0, s.unit)
	if !s.limits.Unordered {
		n, err := u.Write(s.ctx, 0, bytes.NewReader(data), s.unit)
		var offset *store.OffsetError
		if n != 0 || !errors.As(err, &offset) || offset.Expected != s.unit || offset.Provided != 0 {
			s.Fatalf("wrote %d bytes, error is %v", n, err)
		}
		return
	}
	s.write(u, wrong, 2*s.unit, 3*s.unit)
	s.write(u, wrong, s.unit, 2*s.unit)
	for _, unit := range []int64{1, 0, 2} {
		s.write(u, data, unit*s.unit, (unit+1)*s.unit)
	}
	s.finish(u, data)
}

func (s *suite) parallelUnits() {
	const units = 8
	data := content(units*s.unit - 5)
	u, _ := s.begin(int64(len(data)))
	if !s.limits.Unordered {
		s.goOn(u, data)
		s.finish(u, data)
		return
	}
	var writers sync.WaitGroup
	errs := make([]error, units)
	for i := range int64(units) {
		writers.Go(func() {
			part := data[i*s.unit : min((i+1)*s.unit, int64(len(data)))]
			n, err := u.Write(s.ctx, i*s.unit, bytes.NewReader(part), int64(len(part)))
			if err == nil && n != int64(len(part)) {
				err = fmt.Errorf("wrote %d bytes of %d", n, len(part))
			}
			errs[i] = err
		})
	}
	writers.Wait()
	s.must(errors.Join(errs...))
	s.finish(u, data)
}

// shortReader: what r gave may be kept, and the upload goes on behind it.
func (s *suite) shortReader() {
	data := content(2 * s.unit)
	s.endsEarly(data, bytes.NewReader(data[:s.unit/2]))
}

func (s *suite) shortLender() {
	data := content(2 * s.unit)
	s.endsEarly(data, bytes.NewBuffer(data[:s.unit/2]))
}

func (s *suite) endsEarly(data []byte, r io.Reader) {
	u, _ := s.begin(2 * s.unit)
	n, err := u.Write(s.ctx, 0, r, s.unit)
	s.want(err, io.ErrUnexpectedEOF)
	s.kept(u, n, s.unit/2)
	s.goOn(u, data)
	s.finish(u, data)
}

// failingReader: only io.EOF itself is an end, whatever size was announced.
func (s *suite) failingReader() {
	for _, failure := range []error{errors.New("the source failed"), fmt.Errorf("the source failed: %w", io.EOF)} {
		for _, size := range []int64{s.unit, store.UnknownLength} {
			s.failsAt(failure, size)
		}
	}
}

func (s *suite) failsAt(failure error, size int64) {
	data := content(2 * s.unit)
	u, _ := s.begin(2 * s.unit)
	r := &source{data: data[:s.unit/2], then: func() error { return failure }}
	n, err := u.Write(s.ctx, 0, r, size)
	s.want(err, failure)
	s.kept(u, n, s.unit/2)
	s.goOn(u, data)
	s.finish(u, data)
	r.unread(s)
}

// cancelledWrite: the context ends while the source has nothing more to give.
func (s *suite) cancelledWrite() {
	data := content(2 * s.unit)
	u, _ := s.begin(2 * s.unit)
	ctx, cancel := context.WithCancel(s.ctx)
	r := &source{data: data[:s.unit/2], then: func() error {
		cancel()
		return ctx.Err()
	}}
	n, err := u.Write(ctx, 0, r, s.unit)
	s.want(err, context.Canceled)
	r.returned.Store(true)
	s.kept(u, n, s.unit/2)
	s.goOn(u, data)
	s.finish(u, data)
	r.unread(s)
}

func (s *suite) cancelledCalls() {
	u, info := s.begin(1)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, _, err := s.store.Create(ctx, store.Spec{Name: "x", Length: 1, UnitBytes: s.unit})
	s.want(err, context.Canceled)
	_, err = s.store.Stat(ctx, info.ID)
	s.want(err, context.Canceled)
	_, _, err = s.store.Open(ctx, info.ID)
	s.want(err, context.Canceled)
	_, err = u.Info(ctx)
	s.want(err, context.Canceled)
	_, err = u.Write(ctx, 0, bytes.NewReader([]byte("x")), 1)
	s.want(err, context.Canceled)
	_, err = u.Finish(ctx, store.Sum{})
	s.want(err, context.Canceled)
	s.want(u.Abort(ctx), context.Canceled)
	s.goOn(u, []byte("x"))
	s.finish(u, []byte("x"))
}

func (s *suite) concurrentUploads() {
	const uploads = 6
	var running sync.WaitGroup
	contents, infos, errs := make([][]byte, uploads), make([]store.Info, uploads), make([]error, uploads)
	for i := range uploads {
		contents[i] = content(2*s.unit + int64(i))
		running.Go(func() { infos[i], errs[i] = s.uploadWhole(fmt.Sprintf("dir/object %d", i), contents[i]) })
	}
	running.Wait()
	s.must(errors.Join(errs...))
	for i, info := range infos {
		s.finished(info, contents[i])
	}
}

func (s *suite) uploadWhole(name string, data []byte) (store.Info, error) {
	length := int64(len(data))
	u, _, err := s.store.Create(s.ctx, store.Spec{Name: name, Length: length, UnitBytes: s.unit})
	if err != nil {
		return store.Info{}, err
	}
	for off := int64(0); off < length; off += s.unit {
		part := data[off:min(off+s.unit, length)]
		if _, err := u.Write(s.ctx, off, bytes.NewReader(part), int64(len(part))); err != nil {
			return store.Info{}, err
		}
	}
	return u.Finish(s.ctx, sum(data))
}

// kept checks what a Write that failed says of a unit at 0.
func (s *suite) kept(u store.Upload, n, given int64) {
	s.Helper()
	if n < 0 || n > given {
		s.Fatalf("%d bytes acknowledged of %d", n, given)
	}
	info := s.info(u)
	s.holds(info, store.Range{End: n})
	if info.Offset > given {
		s.Fatalf("offset is %d after %d bytes", info.Offset, given)
	}
}

// A source gives data, then asks what to do. It notices a Read that comes after
// the Write has returned.
type source struct {
	data     []byte
	then     func() error
	returned atomic.Bool
	late     atomic.Bool
}

func (r *source) Read(p []byte) (int, error) {
	if r.returned.Load() {
		r.late.Store(true)
		return 0, errors.New("read after Write returned")
	}
	if len(r.data) == 0 {
		return 0, r.then()
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

func (r *source) unread(s *suite) {
	s.Helper()
	if r.late.Load() {
		s.Error("the source was read after Write had returned")
	}
}
