package s3store

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Finish implements store.Upload by CompleteMultipartUpload. S3 compares the sum
// of the whole object.
func (u *Upload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	info, err := u.finish(ctx, sum)
	if err != nil {
		return store.Info{}, fmt.Errorf("finish upload of %s: %w", u.store.uri(u.address.Key), err)
	}
	return info, nil
}

func (u *Upload) finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	u.mu.Lock()
	length, finished := u.length, u.finished
	u.mu.Unlock()
	switch {
	case u.taken.Err() != nil:
		return store.Info{}, context.Cause(u.taken)
	case finished:
		return u.object(ctx, store.ErrNotFound)
	case u.address.Unit == 0:
		return store.Info{}, fmt.Errorf("%w: a listed upload can only be looked at and aborted", store.ErrUnsupported)
	case length == store.UnknownLength:
		return store.Info{}, fmt.Errorf("%w: its length is not known", store.ErrIncomplete)
	}
	if err := u.joinAll(ctx, length); err != nil {
		return store.Info{}, err
	}
	charge, err := u.store.mem.Reserve(ctx, memory.KindTransfer, bucket.CompletePartBytes*min(length/u.address.Unit+1, int64(u.store.opts.MaxParts)))
	if err != nil {
		return store.Info{}, err
	}
	defer func() { _ = charge.Release() }()
	if length == 0 {
		if err := u.store.bucket.UploadNothing(ctx, u.address.Multipart); err != nil {
			return u.orObject(ctx, err)
		}
	}
	parts, stored, there, err := u.store.collect(ctx, u.address.Multipart, u.layout(), length)
	if err != nil {
		return u.orObject(ctx, err)
	}
	if there != length {
		return store.Info{}, fmt.Errorf("%w: %d of %d bytes are there", store.ErrIncomplete, there, length)
	}
	if sum.Known && stored.Known && sum != stored {
		return store.Info{}, fmt.Errorf("%w: %08x was sent, %08x is stored", store.ErrChecksum, sum.CRC32C, stored.CRC32C)
	}
	if !sum.Known {
		sum = stored
	}
	if err := u.store.bucket.CompleteMultipart(ctx, u.address.Multipart, parts, sum, u.address.NoReplace); err != nil {
		return u.orObject(ctx, err)
	}
	return u.object(ctx, store.ErrNotFound)
}

// orObject is for a Finish whose first answer was lost: the upload is gone, or
// there is an object of its name, and that is its own.
func (u *Upload) orObject(ctx context.Context, err error) (store.Info, error) {
	if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrExists) {
		return store.Info{}, err
	}
	return u.object(ctx, err)
}

// collect lists the parts of an upload, with the sum and the number of the bytes
// that are there without a gap.
func (s *Store) collect(ctx context.Context, m bucket.Multipart, l layout, length int64) ([]bucket.Part, store.Sum, int64, error) {
	var found coverage
	var parts []bucket.Part
	found.sum.Known = length == 0
	for p, err := range s.bucket.Parts(ctx, m) {
		if err != nil {
			return nil, store.Sum{}, 0, err
		}
		found.add(p, l, length)
		parts = append(parts, p)
	}
	return parts, found.sum, found.prefix, nil
}

// Find implements store.Finder. The Sum is known of an object that was uploaded
// with a CRC-32C of the whole, as this store's are.
func (s *Store) Find(ctx context.Context, name string, _ int64) (store.Info, error) {
	key, err := s.key(name)
	if err != nil {
		return store.Info{}, fmt.Errorf("find %s: %w", s.uri(s.prefix+name), err)
	}
	o, err := s.bucket.Head(ctx, key)
	if err != nil {
		return store.Info{}, fmt.Errorf("find %s: %w", s.uri(key), err)
	}
	return store.Info{
		Name: name, Length: o.Size, Offset: o.Size, Complete: true, Sum: o.Sum, Metadata: o.Metadata,
		ModifiedAt: o.Modified, Location: s.uri(key),
	}, nil
}
