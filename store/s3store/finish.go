package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// completePartBytes is what a part costs in the request that completes an
// upload: the list of parts, and its XML in a buffer that grows by doubling.
const completePartBytes = 1 << 10

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
	charge, err := u.store.mem.Reserve(ctx, memory.KindTransfer, completePartBytes*min(length/u.address.Unit+1, int64(u.store.opts.MaxParts)))
	if err != nil {
		return store.Info{}, err
	}
	defer func() { _ = charge.Release() }()
	if length == 0 {
		if err := u.writeNothing(ctx); err != nil {
			return u.orObject(ctx, err)
		}
	}
	if err := u.joinAll(ctx, length); err != nil {
		return store.Info{}, err
	}
	parts, stored, there, err := u.store.collect(ctx, u.address.place, u.layout(), length)
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
	if err := u.store.complete(ctx, u.address.place, parts, sum, u.address.NoReplace); err != nil {
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
func (s *Store) collect(ctx context.Context, a place, l layout, length int64) ([]minio.CompletePart, store.Sum, int64, error) {
	var found coverage
	var parts []minio.CompletePart
	found.sum.Known = length == 0
	for p, err := range s.parts(ctx, a) {
		if err != nil {
			return nil, store.Sum{}, 0, err
		}
		found.add(p, l, length)
		complete := minio.CompletePart{PartNumber: p.number, ETag: p.etag}
		if p.sum.Known {
			complete.ChecksumCRC32C = formatSum(p.sum.CRC32C)
		}
		parts = append(parts, complete)
	}
	return parts, found.sum, found.prefix, nil
}

// writeNothing makes the one part that S3 wants of an empty object.
func (u *Upload) writeNothing(ctx context.Context) error {
	return u.store.call(ctx, uploadPart, func(ctx context.Context) error {
		_, err := u.store.core.PutObjectPart(ctx, u.store.bucket, u.address.Key, u.address.Multipart, 1, nil, 0,
			minio.PutObjectPartOptions{
				CustomHeader: http.Header{headerChecksum: {formatSum(0)}}, DisableContentSha256: true,
			})
		return err
	})
}

// complete makes an object of the parts.
func (s *Store) complete(ctx context.Context, a place, parts []minio.CompletePart, sum store.Sum, noReplace bool) error {
	headers := map[string]string{}
	if sum.Known {
		headers[headerChecksum], headers[headerChecksumType] = formatSum(sum.CRC32C), fullObject
	}
	opts := minio.PutObjectOptions{UserMetadata: headers}
	if noReplace {
		opts.SetMatchETagExcept("*")
	}
	return s.call(ctx, completeMultipart, func(ctx context.Context) error {
		_, err := s.core.CompleteMultipartUpload(ctx, s.bucket, a.Key, a.Multipart, parts, opts)
		return err
	})
}

// Find implements store.Finder. The Sum is known of an object that was uploaded
// with a CRC-32C of the whole, as this store's are.
func (s *Store) Find(ctx context.Context, name string, _ int64) (store.Info, error) {
	key, err := s.key(name)
	if err != nil {
		return store.Info{}, fmt.Errorf("find %s: %w", s.uri(s.prefix+name), err)
	}
	o, err := s.head(ctx, key)
	if err != nil {
		return store.Info{}, fmt.Errorf("find %s: %w", s.uri(key), err)
	}
	metadata, _ := decodeMetadata(o.UserMetadata)
	return store.Info{
		Name: name, Length: o.Size, Offset: o.Size, Complete: true, Sum: sumOf(o), Metadata: metadata,
		ModifiedAt: o.LastModified, Location: s.uri(key),
	}, nil
}

func sumOf(o minio.ObjectInfo) store.Sum {
	if o.ChecksumMode != fullObject {
		return store.Sum{}
	}
	return parseSum(o.ChecksumCRC32C)
}

// head looks at an object.
func (s *Store) head(ctx context.Context, key string) (o minio.ObjectInfo, err error) {
	err = s.call(ctx, headObject, func(ctx context.Context) error {
		o, err = s.core.StatObject(ctx, s.bucket, key, minio.StatObjectOptions{Checksum: true})
		return err
	})
	return o, err
}
