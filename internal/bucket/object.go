package bucket

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/store"
)

// An Object is one that is whole.
type Object struct {
	Key      string
	Name     string    // whose extension says the media type; default: the key
	Sniffed  string    // what MediaType says, for where nothing else does
	Size     int64     // in bytes
	Sum      store.Sum // known where it was uploaded with a CRC-32C of the whole
	Modified time.Time
	Metadata map[string]string
	Coding   string // content coding, or ""
	ETag     string
	// Mark is a word of at most 32 letters that tells whose object it is.
	Mark string
	// lock says how long it can't be replaced or removed, or "".
	lock string
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
	return objectOf(key, info), nil
}

func objectOf(key string, info minio.ObjectInfo) Object {
	o := Object{Key: key, Size: info.Size, Modified: info.LastModified, ETag: info.ETag, Coding: info.Metadata.Get("Content-Encoding")}
	o.Metadata, o.Mark = decodeMetadata(info.UserMetadata)
	o.lock = lockOf(info.Metadata)
	if info.ChecksumMode == fullObject {
		o.Sum = parseSum(info.ChecksumCRC32C)
	}
	return o
}

// Objects yields those whose keys have that prefix, with what a list tells of
// them: Key, Size, ETag and Modified. An error is the last.
func (b *Bucket) Objects(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		stopped := false
		err := b.call(ctx, listObjects, func(ctx context.Context) error {
			for o := range b.core.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
				if o.Err != nil {
					return o.Err
				}
				listed := Object{Key: o.Key, Size: o.Size, ETag: o.ETag, Modified: o.LastModified}
				if stopped = !yield(listed, nil); stopped {
					return nil
				}
			}
			return ctx.Err() // by which a list ends without a word
		})
		if err != nil && !stopped {
			yield(Object{}, err)
		}
	}
}

// Remove removes an object, if it is there.
func (b *Bucket) Remove(ctx context.Context, key string) error {
	err := b.call(ctx, removeObject, func(ctx context.Context) error {
		return b.core.RemoveObject(ctx, b.name, key, minio.RemoveObjectOptions{})
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return b.explainLocked(ctx, key, err)
}
