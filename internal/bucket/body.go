package bucket

import (
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/internal/detach"
	"github.com/streamflow/streamflow/store"
)

// unsignedTrailer is what stands for the sum of a body that is not signed, with
// a checksum behind it (Signature Version 4, "Transferring payload in multiple
// chunks").
const unsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

// A body is what is sent of a unit: its bytes, then their sum in a trailer.
//
// Unsigned it is one chunk in S3's coding, through which it passes without a
// buffer. To be signed it must be cut in chunks, which is left to minio-go.
type body struct {
	r       io.Reader
	left    int64 // of the unit
	sum     uint32
	summer  store.Summer // which knows the sum, or nil
	frame   []byte       // what comes next in place of the unit
	signed  bool
	size    int64 // of all
	options minio.PutObjectPartOptions
}

func newBody(r io.Reader, size int64, signed bool) *body {
	b := &body{r: r, left: size, signed: signed, size: size}
	// The trailer is announced by its length before its value is known.
	trailer := http.Header{headerChecksum: {formatSum(0)}}
	if signed {
		b.options.Trailer = trailer
		return b
	}
	b.frame = []byte(strconv.FormatInt(size, 16) + "\r\n")
	b.size += int64(len(b.frame) + len(b.end()))
	b.options = minio.PutObjectPartOptions{
		Sha256Hex: unsignedTrailer, DisableContentSha256: true,
		CustomHeader: http.Header{
			"Content-Encoding":             {"aws-chunked"},
			"X-Amz-Decoded-Content-Length": {strconv.FormatInt(size, 10)},
			"X-Amz-Trailer":                {"x-amz-checksum-crc32c"},
		},
	}
	return b
}

// end is what follows the unit: the last chunk and the trailer.
func (b *body) end() []byte {
	return fmt.Appendf(nil, "\r\n0\r\nx-amz-checksum-crc32c:%s\r\n\r\n", formatSum(b.sum))
}

func (b *body) Read(p []byte) (int, error) {
	if len(b.frame) > 0 {
		n := copy(p, b.frame)
		b.frame = b.frame[n:]
		return n, nil
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.passed(p[:n])
	if b.left == 0 {
		err = nil
	}
	return n, err
}

// passed notes bytes of the unit, and what follows the last ones.
func (b *body) passed(p []byte) {
	if b.summer == nil {
		b.sum = checksum.Update(b.sum, p)
	}
	if b.left -= int64(len(p)); b.left > 0 {
		return
	}
	if b.summer != nil {
		b.sum = b.summer.Sum().CRC32C
	}
	if b.signed && b.options.Trailer != nil {
		b.options.Trailer.Set(headerChecksum, formatSum(b.sum))
	} else if !b.signed {
		b.frame = b.end()
	}
}

// lentBytes are written at once of a unit that lies in memory.
const lentBytes = 256 << 10

// A unitBody is a body, not to be signed, of a unit that lies in memory: it is written
// from there.
type unitBody struct {
	*body
	unit *detach.Reader
}

// WriteTo implements io.WriterTo.
func (b unitBody) WriteTo(w io.Writer) (n int64, err error) {
	write := func(p []byte) error {
		written, err := w.Write(p)
		n += int64(written)
		return err
	}
	for more := true; more && err == nil; {
		more, err = b.writeNext(write)
	}
	return n, err
}

// writeNext writes what comes next, of which there is none at the end.
func (b unitBody) writeNext(write func([]byte) error) (more bool, err error) {
	if p := b.frame; len(p) > 0 {
		b.frame = nil
		return true, write(p)
	}
	lent, err := b.unit.Lend(int(min(b.left, lentBytes)), func(p []byte) error {
		b.passed(p)
		return write(p)
	})
	return lent > 0, err
}
