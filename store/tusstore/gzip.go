package tusstore

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"

	"github.com/streamflow/streamflow/memory"
)

const (
	// gzipBytes is what a gzipper takes: 800 KiB for deflate of level 1, 350 KiB
	// for storing, and its two buffers.
	gzipBytes     = 1184<<10 + gzipInBytes + gzipOutBytes
	gzipInBytes   = 32 << 10
	gzipOutBytes  = 192 << 10
	gzipLevel     = gzip.BestSpeed // higher ones save little more, at half the speed
	smallestPiece = 64 << 10
	largestPiece  = 256 << 10
	// storedPieces follow one that didn't shrink, before the next is tried.
	storedPieces = 16
	// maxExpansion is how many times larger the whole may be than what is sent, at
	// the end of a piece. Our servers take twice that, and any 1 MiB.
	maxExpansion = 128
)

// A gzipper gives the bytes of a source as gzip: a member (RFC 1952, section 2.2)
// for each piece. Members are deflated, or stored where deflating doesn't pay or
// where the whole would expand too far for a server to take: of zeros every
// hundredth MiB or so.
type gzipper struct {
	room    memory.Reservation
	in      []byte
	out     bytes.Buffer
	deflate *gzip.Writer
	store   *gzip.Writer

	// The rest is of one body.
	source     io.Reader
	saved      func(bytes int64)
	member     *gzip.Writer // the piece under way, or nil
	left       int          // of the piece
	piece, all traffic
	stored     int // pieces to store before the next is tried
	err        error
}

// traffic counts bytes.
type traffic struct{ read, sent int64 }

// newGzipper makes one in a room that is reserved for it, and goes with it.
func newGzipper(room memory.Reservation) (*gzipper, error) {
	deflate, err := gzip.NewWriterLevel(nil, gzipLevel)
	store, err2 := gzip.NewWriterLevel(nil, gzip.NoCompression)
	z := &gzipper{room: room, in: make([]byte, gzipInBytes), deflate: deflate, store: store}
	z.out.Grow(gzipOutBytes)
	return z, errors.Join(err, err2)
}

// begin prepares for a body.
func (z *gzipper) begin(source io.Reader, saved func(bytes int64)) {
	z.source, z.saved = source, saved
	z.member, z.stored, z.err = nil, 0, nil
	z.all = traffic{}
	z.out.Reset()
}

// Read implements io.Reader. The source's error comes after what it gave.
func (z *gzipper) Read(p []byte) (int, error) {
	for z.out.Len() == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.err = z.step()
	}
	return z.out.Read(p) // never an error: it isn't empty
}

// step takes a little from the source.
func (z *gzipper) step() error {
	if z.member == nil {
		z.beginPiece()
	}
	n, err := z.source.Read(z.in[:min(len(z.in), z.left)])
	z.left -= n
	if n > 0 {
		if failed := z.pass(n, func() error { _, err := z.member.Write(z.in[:n]); return err }); failed != nil {
			return failed
		}
	}
	whole := z.left == 0 || err == io.EOF && (z.piece.read > 0 || z.all.read == 0) // a source of nothing is one member, too
	if !whole {
		return err
	}
	if failed := z.endPiece(); failed != nil {
		return failed
	}
	return err
}

// pass counts what do makes of n bytes.
func (z *gzipper) pass(n int, do func() error) error {
	before := z.out.Len()
	err := do()
	sent := int64(z.out.Len() - before)
	z.piece.read += int64(n)
	z.piece.sent += sent
	if sent != int64(n) {
		z.saved(int64(n) - sent)
	}
	return err
}

// beginPiece decides how the next piece is sent. The first is small, as it says
// what to do with all.
func (z *gzipper) beginPiece() {
	z.piece, z.left, z.member = traffic{}, largestPiece, z.deflate
	switch {
	case z.all.read == 0:
		z.left = smallestPiece
	case z.stored > 0:
		z.stored--
		z.member = z.store
	case z.all.read > maxExpansion*z.all.sent:
		z.member = z.store
	}
	z.member.Reset(&z.out)
}

func (z *gzipper) endPiece() error {
	err := z.pass(0, z.member.Close)
	if z.member == z.deflate && z.piece.sent > z.piece.read/16*15 {
		z.stored = storedPieces
	}
	z.all.read += z.piece.read
	z.all.sent += z.piece.sent
	z.member = nil
	return err
}
