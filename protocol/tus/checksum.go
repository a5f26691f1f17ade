package tus

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// ChecksumAlgorithms are those an Upload-Checksum may have. sha1 is what the
// protocol requires; crc32c costs next to nothing.
const ChecksumAlgorithms = "sha1,sha256,crc32c,md5"

func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "sha1":
		return sha1.New()
	case "sha256":
		return sha256.New()
	case "crc32c":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "md5":
		return md5.New()
	default:
		return nil
	}
}

// A checksum is an Upload-Checksum header.
type checksum struct {
	algorithm string
	sum       []byte
}

// parseChecksum reads "algorithm base64". A CRC is in network byte order.
func parseChecksum(header string) (checksum, error) {
	algorithm, encoded, _ := strings.Cut(header, " ")
	h := newHash(algorithm)
	if h == nil {
		return checksum{}, fmt.Errorf("%w checksum: the algorithm is one of %s, not %.40q", store.ErrInvalid, ChecksumAlgorithms, algorithm)
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(sum) != h.Size() {
		return checksum{}, fmt.Errorf("%w checksum: want %d bytes of %s in base64, not %.100q", store.ErrInvalid, h.Size(), algorithm, encoded)
	}
	return checksum{algorithm: algorithm, sum: sum}, nil
}

// A summedBody is a body that a checksum belongs to.
type summedBody struct {
	protocol.Body
	hashes map[string]hash.Hash // by algorithm
	want   func() (checksum, error)
	// trailer: want can only tell after the body's io.EOF.
	trailer bool
}

// summed returns the body of r with its checksum, or nil if it has none. That
// in a trailer (extension checksum-trailer) names its algorithm only once the
// body is over, so all there are have to run along.
func summed(r *http.Request, body protocol.Body) (*summedBody, error) {
	_, trailer := r.Trailer[HeaderChecksum]
	switch header := len(r.Header.Values(HeaderChecksum)) > 0; {
	case header && trailer:
		return nil, fmt.Errorf("%w checksum: it comes both as a header and as a trailer", store.ErrInvalid)
	case header:
		want, err := declaredChecksum(r.Header)
		if err != nil {
			return nil, err
		}
		return &summedBody{
			Body:   body,
			hashes: map[string]hash.Hash{want.algorithm: newHash(want.algorithm)},
			want:   func() (checksum, error) { return want, nil },
		}, nil
	case trailer:
		b := &summedBody{
			Body:    body,
			hashes:  make(map[string]hash.Hash),
			want:    func() (checksum, error) { return declaredChecksum(r.Trailer) },
			trailer: true,
		}
		for algorithm := range strings.SplitSeq(ChecksumAlgorithms, ",") {
			b.hashes[algorithm] = newHash(algorithm)
		}
		return b, nil
	default:
		return nil, nil
	}
}

func declaredChecksum(header http.Header) (checksum, error) {
	value, err := single(header, HeaderChecksum)
	if err != nil {
		return checksum{}, err
	}
	return parseChecksum(value)
}

func (b *summedBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	for _, h := range b.hashes {
		_, _ = h.Write(p[:n]) // never fails
	}
	return n, err
}

// verify compares what was read with what the client says. It comes after the
// end of the body, where trailers are.
func (b *summedBody) verify() error {
	want, err := b.want()
	if err != nil {
		return err
	}
	if got := b.hashes[want.algorithm].Sum(nil); !bytes.Equal(got, want.sum) {
		return fmt.Errorf("%w: the %s of the chunk is %x, not %x", store.ErrChecksum, want.algorithm, got, want.sum)
	}
	return nil
}
