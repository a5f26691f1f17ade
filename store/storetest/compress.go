package storetest

import (
	"bytes"
	"errors"

	"github.com/streamflow/streamflow/store"
)

// compress: what is there and what is acknowledged doesn't depend on how it was sent.
func (s *suite) compress() {
	if !s.limits.Compressed {
		return
	}
	data := append(content(3*s.unit/2), bytes.Repeat([]byte("again and "), int(s.unit/2))...)
	data = data[:3*s.unit]
	u, _ := s.begin(int64(len(data)))
	c, ok := u.(store.Compressor)
	if !ok {
		s.Fatal("Limits promise compression, and an upload has none")
	}
	s.want(c.Compress(s.ctx, store.Compression(-1), func(int64) {}), store.ErrInvalid)
	var saved int64
	err := c.Compress(s.ctx, store.Gzip, func(n int64) { saved += n })
	if errors.Is(err, store.ErrUnsupported) {
		return
	}
	s.must(err)
	s.write(u, data, 0, s.unit)
	s.write(u, data, s.unit, 3*s.unit)
	if saved <= 0 || saved >= 3*s.unit {
		s.Errorf("saved %d of %d bytes", saved, len(data))
	}
	s.must(c.Compress(s.ctx, store.Uncompressed, nil))
	s.finish(u, data)
}
