package bucket

import (
	"context"
	"errors"
	"fmt"
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
	if err != nil || ctx.Err() == nil {
		return m, err
	}
	if err := b.discard(ctx, m); err != nil {
		return Multipart{}, fmt.Errorf("%w; what was begun stays: %w", ctx.Err(), err)
	}
	return Multipart{}, ctx.Err()
}

// discard aborts an upload that nobody else knows of, also where ctx has ended.
func (b *Bucket) discard(ctx context.Context, m Multipart) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	for range abortRounds {
		var transient *store.TransientError
		if err = b.AbortMultipart(ctx, m); !errors.As(err, &transient) {
			break
		}
	}
	return err
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

// abortRounds bounds how often an upload is aborted to which parts are on their way.
const abortRounds = 3

// AbortMultipart ends a multipart upload, if it is there. A part that S3 was at may
// survive that, so it looks for those, as S3's reference has it (AbortMultipartUpload).
func (b *Bucket) AbortMultipart(ctx context.Context, m Multipart) error {
	for range abortRounds {
		err := b.call(ctx, abortMultipart, func(ctx context.Context) error {
			return b.core.AbortMultipartUpload(ctx, b.name, m.Key, m.ID)
		})
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil || !b.hasParts(ctx, m) {
			return err
		}
	}
	return store.Transient(errors.New(abortMultipart.does + ": it still has parts"))
}

// hasParts: there is a part for certain. Who may abort an upload need not be allowed to
// list it.
func (b *Bucket) hasParts(ctx context.Context, m Multipart) bool {
	for _, err := range b.Parts(ctx, m) {
		return err == nil
	}
	return false
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
