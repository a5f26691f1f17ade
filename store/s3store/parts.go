package s3store

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"iter"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// listPage is the most that S3 lists at once.
const listPage = 1000

// A part is one that S3 has.
type part struct {
	number   int
	size     int64
	etag     string
	sum      store.Sum
	modified time.Time
}

func partOf(p minio.ObjectPart) part {
	return part{p.PartNumber, p.Size, p.ETag, parseSum(p.ChecksumCRC32C), p.LastModified}
}

// parts yields the parts of an upload by their numbers.
func (s *Store) parts(ctx context.Context, a place) iter.Seq2[part, error] {
	return func(yield func(part, error) bool) {
		for marker := 0; ; {
			var page minio.ListObjectPartsResult
			err := s.call(ctx, listParts, func(ctx context.Context) (err error) {
				page, err = s.core.ListObjectParts(ctx, s.bucket, a.Key, a.Multipart, marker, listPage)
				return err
			})
			if err != nil {
				yield(part{}, err)
				return
			}
			for _, p := range page.ObjectParts {
				if !yield(partOf(p), nil) {
					return
				}
			}
			if !page.IsTruncated || page.NextPartNumberMarker <= marker {
				return
			}
			marker = page.NextPartNumberMarker
		}
	}
}

// coverage is which bytes the parts are, found by rising number.
type coverage struct {
	prefix  int64 // bytes without a gap from the start
	sum     store.Sum
	written []store.Range // behind the first gap
	end     int64
	last    time.Time
}

// add counts a part if it has the size of its number: a part of another size is
// of an upload that went on with other units, or was cut off.
func (c *coverage) add(p part, l layout, length int64) {
	start, size := l.at(int64(p.number))
	c.addRange(p, start, size, length)
}

// addRange counts a part that begins at start, and has size bytes unless it is
// the last.
func (c *coverage) addRange(p part, start, size, length int64) {
	if p.modified.After(c.last) {
		c.last = p.modified
	}
	end := start + p.size
	whole := p.size == size || (p.size < size && (end == length || length == store.UnknownLength))
	if !whole || (length != store.UnknownLength && end > length) || p.size == 0 {
		return
	}
	if c.end == 0 {
		c.sum.Known = true
	}
	c.end = end
	switch n := len(c.written); {
	case start == c.prefix:
		c.sum = appendSum(c.sum, p.sum, p.size)
		c.prefix = end
	case n > 0 && c.written[n-1].End == start:
		c.written[n-1].End = end
	default:
		c.written = append(c.written, store.Range{Start: start, End: end})
	}
}

// ranges are those of store.Info.
func (c *coverage) ranges() []store.Range {
	if len(c.written) == 0 || c.prefix == 0 {
		return c.written
	}
	return append([]store.Range{{End: c.prefix}}, c.written...)
}

// appendSum is the sum of a followed by n bytes of sum b.
func appendSum(a, b store.Sum, n int64) store.Sum {
	if !a.Known || !b.Known {
		return store.Sum{}
	}
	return store.Sum{CRC32C: checksum.Combine(a.CRC32C, b.CRC32C, n), Known: true}
}

// formatSum and parseSum are S3's way to write a CRC-32C.
func formatSum(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

func parseSum(text string) store.Sum {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != 4 {
		return store.Sum{}
	}
	return store.Sum{CRC32C: binary.BigEndian.Uint32(b), Known: true}
}
