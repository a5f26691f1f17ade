package bucket

import (
	"context"
	"errors"
	"io"
	"iter"
	"net"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/internal/detach"
	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/store"
)

// listPage is the most that S3 lists at once.
const listPage = 1000

// A Part is one that S3 has.
type Part struct {
	Number   int
	Size     int64 // in bytes
	ETag     string
	Sum      store.Sum
	Modified time.Time // as far as it was listed
}

func partOf(p minio.ObjectPart) Part {
	return Part{p.PartNumber, p.Size, p.ETag, parseSum(p.ChecksumCRC32C), p.LastModified}
}

// Parts yields the parts of an upload by their numbers.
func (b *Bucket) Parts(ctx context.Context, m Multipart) iter.Seq2[Part, error] {
	return func(yield func(Part, error) bool) {
		for marker := 0; ; {
			var page minio.ListObjectPartsResult
			err := b.call(ctx, listParts, func(ctx context.Context) (err error) {
				page, err = b.core.ListObjectParts(ctx, b.name, m.Key, m.ID, marker, listPage)
				return err
			})
			if err != nil {
				yield(Part{}, err)
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

// chunkBytes is what minio-go keeps of a body that it cuts in chunks: one of 64 KiB,
// and its copy in a buffer that has grown.
const chunkBytes = 192 << 10

// RequestBytes is what a request with a body costs outside what it reads: a
// connection, and a chunk where it is signed. It is for the caller to reserve, as
// PutBytes and GetBytes are.
func (b *Bucket) RequestBytes() int64 {
	if b.signed {
		return transport.ConnectionBytes + chunkBytes
	}
	return transport.ConnectionBytes
}

// UploadPart sends size bytes of r in one request. It doesn't read r after it has
// returned. A store.Summer is asked for their sum, a store.Lender for the bytes.
func (b *Bucket) UploadPart(ctx context.Context, m Multipart, number int, r io.Reader, size int64) (Part, error) {
	source := detach.NewReader(r)
	defer source.Detach() // the transport may still be reading
	sent := newBody(source, size, b.signed)
	if s, ok := r.(store.Summer); ok && s.Sum().Known {
		sent.summer = s
	}
	var content io.Reader = sent
	if _, ok := r.(store.Lender); ok && !b.signed {
		content = unitBody{sent, source}
	}
	var part minio.ObjectPart
	err := b.call(ctx, uploadPart, func(ctx context.Context) (err error) {
		part, err = b.core.PutObjectPart(ctx, b.name, m.Key, m.ID, number, content, sent.size, sent.options)
		return err
	})
	if ctx.Err() != nil {
		return Part{}, ctx.Err()
	}
	if failure := source.Failure(size); failure != nil {
		return Part{}, failure
	}
	if err != nil {
		return Part{}, b.explain(ctx, m, err, source.Bytes() < size || isBroken(err))
	}
	return Part{Number: number, Size: size, ETag: part.ETag, Sum: store.Sum{CRC32C: sent.sum, Known: true}}, nil
}

// explain asks what is wrong where a connection broke before the answer: a service that
// refuses a part may close it without its answer getting through.
func (b *Bucket) explain(ctx context.Context, m Multipart, err error, cut bool) error {
	var transient *store.TransientError
	if !cut || !errors.As(err, &transient) {
		return err
	}
	for _, refused := range b.Parts(ctx, m) {
		if refused != nil && !errors.As(refused, &transient) {
			return refused
		}
		break
	}
	return err
}

// isBroken says whether a connection broke that there was: all that was sent may have
// been read by then, into buffers on its way.
func isBroken(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op != "dial"
}

// UploadNothing makes the one part that S3 wants of an empty object.
func (b *Bucket) UploadNothing(ctx context.Context, m Multipart) error {
	return b.call(ctx, uploadPart, func(ctx context.Context) error {
		_, err := b.core.PutObjectPart(ctx, b.name, m.Key, m.ID, 1, nil, 0,
			minio.PutObjectPartOptions{
				CustomHeader: http.Header{headerChecksum: {formatSum(0)}}, DisableContentSha256: true,
			})
		return err
	})
}

// errNothingCopied: S3 begins to answer before it has copied all, so an error comes as the
// text of a success (UploadPartCopy, "Errors"), in which S3's client finds no part.
var errNothingCopied = errors.New("the answer names no part")

// CopyPart has S3 make a part of n bytes of an object from off, or of all of it
// where n is negative. The Sum is what S3 says it is: of a range, some services
// answer with that of the whole object.
func (b *Bucket) CopyPart(ctx context.Context, from string, off, n int64, m Multipart, number int) (Part, error) {
	var part minio.CompletePart
	err := b.call(ctx, copyPart, func(ctx context.Context) (err error) {
		part, err = b.core.CopyObjectPart(ctx, b.name, from, b.name, m.Key, m.ID, number, off, n, nil)
		if err == nil && part.ETag == "" {
			err = errNothingCopied
		}
		return err
	})
	return Part{Number: number, Size: n, ETag: part.ETag, Sum: parseSum(part.ChecksumCRC32C)}, err
}
