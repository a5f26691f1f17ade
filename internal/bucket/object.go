package bucket

import (
	"context"
	"iter"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/store"
)

// An Object is one that is whole.
type Object struct {
	Key      string
	Size     int64     // in bytes
	Sum      store.Sum // known where it was uploaded with a CRC-32C of the whole
	Modified time.Time
	Metadata map[string]string
	Coding   string // content coding, or ""
	// Mark is a word of at most 32 letters that tells whose object it is.
	Mark string
}

// Head looks at an object.
func (b *Bucket) Head(ctx context.Context, key string) (Object, error) {
	var info minio.ObjectInfo
	err := b.call(ctx, headObject, func(ctx context.Context) (err error) {
		info, err = b.core.StatObject(ctx, b.name, key, minio.StatObjectOptions{Checksum: true})
		return err
	})
	if err != nil {
		return Object{}, err
	}
	o := Object{Key: key, Size: info.Size, Modified: info.LastModified, Coding: info.Metadata.Get("Content-Encoding")}
	o.Metadata, o.Mark = decodeMetadata(info.UserMetadata)
	if info.ChecksumMode == fullObject {
		o.Sum = parseSum(info.ChecksumCRC32C)
	}
	return o, nil
}

// Keys yields the keys of objects with that prefix. An error is the last.
func (b *Bucket) Keys(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		stopped := false
		err := b.call(ctx, listObjects, func(ctx context.Context) error {
			for o := range b.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
				if o.Err != nil {
					return o.Err
				}
				if stopped = !yield(o.Key, nil); stopped {
					break
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield("", err)
		}
	}
}

// Remove removes an object, if it is there.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	return b.call(ctx, removeObject, func(ctx context.Context) error {
		return b.core.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{})
	})
}
