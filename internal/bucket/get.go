package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/store"
)

// GetBytes is what a request without a body costs: the buffers of a connection and of
// TLS, the stacks of its goroutines, and the header of the answer.
const GetBytes = 48 << 10

// Get opens n bytes of an object from off, or all behind off where n is negative.
// What is read must be closed.
func (b *Bucket) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Object, error) {
	opts := minio.GetObjectOptions{}
	switch {
	case n == 0:
		return nil, Object{}, fmt.Errorf("%w: a range of no bytes", store.ErrInvalid)
	case n > 0:
		if err := opts.SetRange(off, off+n-1); err != nil {
			return nil, Object{}, fmt.Errorf("%w: %w", store.ErrInvalid, err)
		}
	case off > 0:
		if err := opts.SetRange(off, 0); err != nil {
			return nil, Object{}, fmt.Errorf("%w: %w", store.ErrInvalid, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, Object{}, err
	}
	x := &exchange{}
	body, info, _, err := b.core.GetObject(context.WithValue(ctx, exchangeKey{}, x), b.name, key, opts)
	if err != nil {
		return nil, Object{}, b.failure(ctx, getObject, x, err)
	}
	return &content{body, ctx, n}, objectOf(key, info), nil
}

// A content is what S3 sends of an object.
type content struct {
	io.ReadCloser
	ctx  context.Context
	left int64 // below 0 where that isn't known
}

// Read implements io.Reader. What ends too early may pass.
func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.left > 0 {
		c.left -= int64(n)
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && c.left <= 0:
		return n, io.EOF
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	// Not an end of the source that it is read for.
	return n, transport.Failure(c.ctx, fmt.Errorf("read the object: %v", err))
}
