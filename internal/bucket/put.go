package bucket

import (
	"context"
	"errors"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/internal/detach"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Put makes an object of size bytes of r in one request. S3 compares them with
// sum, where known. It is store.ErrExists where noReplace is set and there is an
// object. It doesn't read r after it has returned.
func (b *Bucket) Put(ctx context.Context, key string, o Object, r io.Reader, size int64, sum store.Sum, noReplace bool) error {
	headers, err := b.opts.Object.headers(key, o)
	if err != nil {
		return err
	}
	for name := range summed() { // they are for a sum that comes later
		delete(headers.UserMetadata, name)
	}
	if sum.Known {
		headers.UserMetadata[headerChecksum] = formatSum(sum.CRC32C)
	}
	if noReplace {
		headers.SetMatchETagExcept("*")
	}
	headers.DisableContentSha256 = !b.signed
	charge, err := b.mem.Reserve(ctx, memory.KindConnection, b.requestBytes())
	if err != nil {
		return err
	}
	defer func() { _ = charge.Release() }()
	source := detach.NewReader(io.LimitReader(r, size))
	defer source.Detach() // the transport may still be reading
	err = b.call(ctx, putObject, func(ctx context.Context) error {
		_, err := b.core.PutObject(ctx, b.name, key, source, size, "", "", headers)
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failure := source.Failure(size); failure != nil {
		return failure
	}
	if err != nil {
		return b.explainPut(ctx, key, headers, err, source.Bytes() < size)
	}
	return nil
}

// explainPut asks what is wrong where a connection broke before all was sent, by a
// request without a body that is refused for the same reasons.
func (b *Bucket) explainPut(ctx context.Context, key string, headers minio.PutObjectOptions, err error, cut bool) error {
	var transient *store.TransientError
	if !cut || !errors.As(err, &transient) {
		return err
	}
	m, refused := b.createMultipart(ctx, key, headers)
	if refused == nil {
		refused = b.AbortMultipart(ctx, m)
	}
	if refused != nil && !errors.As(refused, &transient) {
		return refused
	}
	return err
}
