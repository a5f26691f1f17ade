package protocol

import (
	"hash"
	"io"
)

// A Digester computes digests of what is written to it.
type Digester struct {
	hashes map[string]hash.Hash
	bytes  int64
}

// NewDigester returns one for these algorithms, or nil if there are none.
func NewDigester(algorithms ...string) *Digester {
	if len(algorithms) == 0 {
		return nil
	}
	d := &Digester{hashes: make(map[string]hash.Hash)}
	for _, algorithm := range algorithms {
		d.hashes[algorithm] = newHash(algorithm)
	}
	return d
}

// Write implements io.Writer. It never fails.
func (d *Digester) Write(p []byte) (int, error) {
	for _, h := range d.hashes {
		_, _ = h.Write(p)
	}
	d.bytes += int64(len(p))
	return len(p), nil
}

// Covers says whether these digests, of so many bytes, have been computed.
func (d *Digester) Covers(want Digests, bytes int64) bool {
	if d == nil || d.bytes != bytes {
		return false
	}
	for algorithm := range want {
		if d.hashes[algorithm] == nil {
			return false
		}
	}
	return true
}

// Check compares what was computed with want. A difference is store.ErrChecksum.
func (d *Digester) Check(want Digests) error {
	for _, algorithm := range want.Algorithms() {
		if err := checkDigest(algorithm, want[algorithm], d.hashes[algorithm].Sum(nil)); err != nil {
			return err
		}
	}
	return nil
}

// Tee returns body as one whose bytes go to w as well, which never fails.
func Tee(body Body, w io.Writer) Body { return &teeBody{body, w} }

type teeBody struct {
	Body
	w io.Writer
}

// Read implements io.Reader.
func (b *teeBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	_, _ = b.w.Write(p[:n])
	return n, err
}
