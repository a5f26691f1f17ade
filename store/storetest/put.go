package storetest

import (
	"bytes"
	"errors"
	"io"
	"testing/iotest"

	"github.com/streamflow/streamflow/store"
)

var errSource = errors.New("the source failed")

// put puts what all of these cases do.
func (s *suite) put(p store.Putter, spec store.Spec, r io.Reader, sum store.Sum) (store.Info, error) {
	spec.Name, spec.UnitBytes = "object.bin", s.unit
	return p.Put(s.ctx, spec, r, sum)
}

// puts: what is put is there, in place of what was, as often as it is put.
func (s *suite) puts() {
	p, ok := s.store.(store.Putter)
	if !ok {
		return
	}
	var data []byte
	for _, size := range []int64{0, 1000, 1000, s.unit} {
		data = content(size)
		info, err := s.put(p, store.Spec{Length: size}, bytes.NewReader(data), sum(data))
		s.must(err)
		if info.ID != "" {
			s.Errorf("it has an id, %q", info.ID)
		}
		s.finished(info, data)
	}
	info, err := s.put(p, store.Spec{Length: 1000}, io.MultiReader(bytes.NewReader(data), iotest.ErrReader(errSource)), store.Sum{})
	s.must(err) // no more is read than the length, and no sum needn't be known
	s.finished(info, data[:1000])
}

// putsNothing: after a refusal nothing has changed.
func (s *suite) putsNothing() {
	p, ok := s.store.(store.Putter)
	if !ok {
		return
	}
	data, other := content(1000), content(1001)
	info, err := s.put(p, store.Spec{Length: 1000, ID: "0123456789abcdef0123456789abcdef", NoReplace: true}, bytes.NewReader(data), sum(data))
	s.must(err)
	_, err = s.put(p, store.Spec{Length: 1001}, bytes.NewReader(other), sum(data))
	s.want(err, store.ErrChecksum)
	if transient := (*store.TransientError)(nil); !errors.As(err, &transient) {
		s.Errorf("a wrong sum isn't worth a retry: %v", err)
	}
	_, err = s.put(p, store.Spec{Length: 1001}, bytes.NewReader(data), store.Sum{})
	s.want(err, io.ErrUnexpectedEOF)
	_, err = s.put(p, store.Spec{Length: 1001}, io.MultiReader(bytes.NewReader(other[:500]), iotest.ErrReader(errSource)), store.Sum{})
	s.want(err, errSource)
	_, err = s.put(p, store.Spec{Length: store.UnknownLength}, bytes.NewReader(other), store.Sum{})
	s.want(err, store.ErrInvalid)
	_, err = s.put(p, store.Spec{Length: 1001, ID: "ffffffffffffffffffffffffffffffff", NoReplace: true}, bytes.NewReader(other), sum(other))
	s.want(err, store.ErrExists)
	s.compare(s.opts.Read(s.T, info), data)

	// It is one's own where the answer to the first attempt was lost.
	again, err := s.put(p, store.Spec{Length: 1000, ID: "0123456789abcdef0123456789abcdef", NoReplace: true}, bytes.NewReader(data), sum(data))
	s.must(err)
	s.finished(again, data)
}
