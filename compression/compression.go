// Package compression compresses uploads on their way, to stay compressed where
// they are stored. For a destination that puts the bytes back, as a tus server
// does, there is streamflow.Options.Compression instead.
//
//	m, err := streamflow.New(dst, &streamflow.Options{Encoders: []streamflow.Encoder{compression.Zstd()}})
//
// A Coding is safe for concurrent use.
package compression

import (
	"bytes"
	"io"
	"sync"

	"github.com/klauspost/compress"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	inBytes = 32 << 10
	// outBytes is what comes of inBytes at most: one block of zstd.
	outBytes = 160 << 10

	// zstdBytes is what an encoder allocates with a window of zstdWindow.
	zstdBytes  = 1728 << 10
	zstdWindow = 512 << 10
	gzipBytes  = 816 << 10

	// leastBytes of a source shrink by so little that it isn't worth a coding.
	leastBytes = 512
	// leastEstimate is above that of random bytes, 0.01, and below that of their
	// hexadecimal digits, 0.3.
	leastEstimate = 0.1
)

// A Coding is a content coding (RFC 9110, section 8.4.1). It is a
// streamflow.Encoder, and a streamflow.Compressor.
type Coding struct {
	name, extension string
	encoderBytes    int64
	open            func() (encoder, error)
	idle            sync.Pool // of encoders
}

type encoder interface {
	io.WriteCloser
	Reset(io.Writer)
}

// Zstd returns the coding of RFC 8878, at the fastest level and with a window of
// 512 KiB.
func Zstd() *Coding {
	return &Coding{name: "zstd", extension: ".zst", encoderBytes: zstdBytes, open: func() (encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(zstdWindow), zstd.WithEncoderLevel(zstd.SpeedFastest))
	}}
}

// Gzip returns the coding of RFC 1952, at the fastest level.
func Gzip() *Coding {
	return &Coding{name: "gzip", extension: ".gz", encoderBytes: gzipBytes, open: func() (encoder, error) {
		return gzip.NewWriterLevel(nil, gzip.BestSpeed)
	}}
}

// Encode implements streamflow.Encoder.
func (c *Coding) Encode(r io.Reader) (io.Reader, error) {
	e, ok := c.idle.Get().(encoder)
	if !ok {
		var err error
		if e, err = c.open(); err != nil {
			return nil, err
		}
	}
	z := &reader{coding: c, source: r, encoder: e, in: make([]byte, inBytes)}
	z.out.Grow(outBytes)
	e.Reset(&z.out)
	return z, nil
}

// EncodedBytes implements streamflow.Encoder.
func (c *Coding) EncodedBytes(int64) int64 { return store.UnknownLength }

// Extension implements streamflow.Encoder.
func (c *Coding) Extension() string { return c.extension }

// Memory implements streamflow.Encoder.
func (c *Coding) Memory() (memory.Kind, int64) {
	return memory.KindCompressor, c.encoderBytes + inBytes + outBytes
}

// Shrinks implements streamflow.Compressor.
func (c *Coding) Shrinks(head []byte) bool {
	return len(head) >= leastBytes && compress.Estimate(head) >= leastEstimate
}

// ContentCoding implements streamflow.Compressor.
func (c *Coding) ContentCoding() string { return c.name }

// A reader gives what the bytes of its source are compressed to.
type reader struct {
	coding  *Coding
	source  io.Reader
	encoder encoder // nil once it has ended
	in      []byte
	out     bytes.Buffer
	err     error // after out
}

func (z *reader) Read(p []byte) (int, error) {
	for z.out.Len() == 0 {
		if z.err != nil {
			return 0, z.err
		}
		z.err = z.step()
	}
	return z.out.Read(p) // never an error: it isn't empty
}

// step takes a little from the source. The source's error comes after what it gave.
func (z *reader) step() error {
	n, err := z.source.Read(z.in)
	if _, failed := z.encoder.Write(z.in[:n]); failed != nil {
		return failed
	}
	if err != io.EOF {
		return err
	}
	if failed := z.encoder.Close(); failed != nil {
		return failed
	}
	z.encoder.Reset(nil)
	z.coding.idle.Put(z.encoder)
	z.encoder = nil
	return io.EOF
}
