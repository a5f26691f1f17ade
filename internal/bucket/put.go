package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/internal/detach"
	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/store"
)

// A Precondition is the ETag that an object must have to be replaced, or one of
// the constants.
type Precondition string

const (
	Always Precondition = ""
	Absent Precondition = "*" // there is no such object
)

// Put makes an object of Size bytes of r in one request, and notes its ETag and Sum
// in o. Where the Sum isn't known it follows in a trailer. Put doesn't read r after it
// has returned. Where the precondition doesn't hold it is store.ErrExists, or
// store.ErrNotFound where there is no object.
//
// Nothing large is passed by value on the way, so that the stack of a goroutine that
// waits here stays within 16 KiB: hundreds of small objects are on their way at once.
func (b *Bucket) Put(ctx context.Context, o *Object, r io.Reader, when Precondition) error {
	headers, err := b.opts.Object.headers(o.Key, o)
	if err != nil {
		return err
	}
	return b.put(ctx, o, r, when, headers)
}

// PutPiece is Put of an object that is there for a while only, so that none of
// the Options hold for it.
func (b *Bucket) PutPiece(ctx context.Context, o *Object, r io.Reader, when Precondition) error {
	return b.put(ctx, o, r, when, &minio.PutObjectOptions{UserMetadata: make(map[string]string)})
}

// PutBytes is what a Put costs outside what it reads: RequestBytes, and where the sum
// isn't known what minio-go keeps until it follows in a trailer.
func (b *Bucket) PutBytes(sum store.Sum) int64 {
	if sum.Known {
		return b.RequestBytes()
	}
	return transport.ConnectionBytes + chunkBytes
}

func (b *Bucket) put(ctx context.Context, o *Object, r io.Reader, when Precondition, opts *minio.PutObjectOptions) error {
	put := putObject
	switch when {
	case Always:
	case Absent:
		opts.SetMatchETagExcept("*")
		put = conditionalPut
	default:
		opts.SetMatchETag(string(when))
		put = conditionalPut
	}
	if o.Size == 0 {
		o.Sum = store.Sum{Known: true}
	}
	if o.Sum.Known {
		opts.UserMetadata[headerChecksum] = formatSum(o.Sum.CRC32C)
	} else {
		opts.Checksum = minio.ChecksumFullObjectCRC32C
	}
	opts.DisableContentSha256 = !b.signed
	source := detach.NewReader(r)
	defer source.Detach() // the transport may still be reading
	sent := &body{r: source, left: o.Size, signed: true}
	err := b.call(ctx, put, func(ctx context.Context) error {
		info, err := b.core.PutObject(ctx, b.name, o.Key, sent, o.Size, "", "", *opts)
		if o.ETag = info.ETag; err == nil && o.ETag == "" {
			err = errNoS3
		}
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failure := source.Failure(o.Size); err != nil && failure != nil {
		return failure
	}
	if err != nil {
		err = b.explainPut(ctx, o.Key, opts, err, source.Bytes() < o.Size)
		return b.explainLocked(ctx, o.Key, err)
	}
	o.Sum = store.Sum{CRC32C: sent.sum, Known: true}
	return nil
}

// explainPut asks what is wrong where a connection broke before all was sent, by a
// request without a body that is refused for the same reasons.
func (b *Bucket) explainPut(ctx context.Context, key string, headers *minio.PutObjectOptions, err error, cut bool) error {
	var transient *store.TransientError
	if !cut || !errors.As(err, &transient) {
		return err
	}
	m, refused := b.createMultipart(ctx, key, headers)
	if refused == nil {
		if stays := b.discard(ctx, m); stays != nil {
			return fmt.Errorf("%w; a multipart upload that was begun to learn why stays: %v", err, stays)
		}
		return err
	}
	if !errors.As(refused, &transient) {
		return refused
	}
	return err
}
