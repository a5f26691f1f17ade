package bucket

import (
	"context"
	"errors"
	"iter"
	"maps"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/store"
)

// A Multipart names a multipart upload.
type Multipart struct {
	Key string `json:"key"`
	ID  string `json:"upload"` // S3's
}

// A ListedMultipart is a multipart upload with what S3 tells of it.
type ListedMultipart struct {
	Multipart
	Initiated time.Time
}

// CreateMultipart begins an upload of an object, whose sum S3 will know.
func (b *Bucket) CreateMultipart(ctx context.Context, key string, o Object) (Multipart, error) {
	headers, err := b.opts.Object.headers(key, &o)
	if err != nil {
		return Multipart{}, err
	}
	maps.Copy(headers.UserMetadata, summed())
	return b.createMultipart(ctx, key, headers)
}

// CreatePiece begins an upload of an object that is there for a while only, so
// that none of the Options hold for it.
func (b *Bucket) CreatePiece(ctx context.Context, key string) (Multipart, error) {
	return b.createMultipart(ctx, key, &minio.PutObjectOptions{UserMetadata: summed()})
}

func (b *Bucket) createMultipart(ctx context.Context, key string, headers *minio.PutObjectOptions) (Multipart, error) {
	m := Multipart{Key: key}
	err := b.call(ctx, createMultipart, func(ctx context.Context) (err error) {
		m.ID, err = b.core.NewMultipartUpload(ctx, b.name, key, *headers)
		if err == nil && m.ID == "" {
			err = errNoS3
		}
		return err
	})
	return m, err
}

// CompletePartBytes is what a part costs in CompleteMultipart: the list of parts,
// and its XML in a buffer that grows by doubling. It is for the caller to reserve.
const CompletePartBytes = 1 << 10

// CompleteMultipart makes an object of the parts, and S3 compares its sum, where
// known. It is store.ErrExists where noReplace is set and there is an object.
func (b *Bucket) CompleteMultipart(ctx context.Context, m Multipart, parts []Part, sum store.Sum, noReplace bool) error {
	headers := map[string]string{}
	if sum.Known {
		headers[headerChecksum], headers[headerChecksumType] = formatSum(sum.CRC32C), fullObject
	}
	opts := minio.PutObjectOptions{UserMetadata: headers}
	end := completeMultipart
	if noReplace {
		opts.SetMatchETagExcept("*")
		end = conditionalEnd
	}
	complete := make([]minio.CompletePart, len(parts))
	for i, p := range parts {
		complete[i] = minio.CompletePart{PartNumber: p.Number, ETag: p.ETag}
		if p.Sum.Known {
			complete[i].ChecksumCRC32C = formatSum(p.Sum.CRC32C)
		}
	}
	err := b.call(ctx, end, func(ctx context.Context) error {
		_, err := b.core.CompleteMultipartUpload(ctx, b.name, m.Key, m.ID, complete, opts)
		return err
	})
	return b.explainLocked(ctx, m.Key, err)
}

// AbortMultipart ends a multipart upload, if it is there.
func (b *Bucket) AbortMultipart(ctx context.Context, m Multipart) error {
	err := b.call(ctx, abortMultipart, func(ctx context.Context) error {
		return b.core.AbortMultipartUpload(ctx, b.name, m.Key, m.ID)
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// Multiparts yields the multipart uploads of keys with that prefix. An error is
// the last.
func (b *Bucket) Multiparts(ctx context.Context, prefix string) iter.Seq2[ListedMultipart, error] {
	return func(yield func(ListedMultipart, error) bool) {
		for key, upload := "", ""; ; {
			var page minio.ListMultipartUploadsResult
			err := b.call(ctx, listMultiparts, func(ctx context.Context) (err error) {
				page, err = b.core.ListMultipartUploads(ctx, b.name, prefix, key, upload, "", listPage)
				return err
			})
			if err != nil {
				yield(ListedMultipart{}, err)
				return
			}
			for _, found := range page.Uploads {
				listed := ListedMultipart{Multipart{found.Key, found.UploadID}, found.Initiated}
				if strings.HasPrefix(found.Key, prefix) && !yield(listed, nil) {
					return
				}
			}
			if !page.IsTruncated || (page.NextKeyMarker == key && page.NextUploadIDMarker == upload) {
				return
			}
			key, upload = page.NextKeyMarker, page.NextUploadIDMarker
		}
	}
}
