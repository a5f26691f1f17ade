package s3store

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/streamflow/streamflow/store"
)

var _ store.Lister = (*Store)(nil)

// Unfinished implements store.Lister by ListMultipartUploads, so it finds what
// other programs left, too. S3 doesn't tell an upload's length: what is listed
// can be looked at and aborted. It lists all that begins with the prefix, whose
// end is a slash.
func (s *Store) Unfinished(ctx context.Context) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for found, err := range s.multiparts(ctx, s.prefix) {
			switch {
			case err != nil:
				yield(store.Info{}, fmt.Errorf("list uploads in %s: %w", s.uri(s.prefix), err))
				return
			case strings.HasPrefix(found.Key, s.prefix+piecesDir):
				// It goes with the upload that it is a piece of.
			case !yield(s.listed(found), nil):
				return
			}
		}
	}
}

// multiparts yields the multipart uploads of keys with that prefix. An error is
// the last.
func (s *Store) multiparts(ctx context.Context, prefix string) iter.Seq2[minio.ObjectMultipartInfo, error] {
	return func(yield func(minio.ObjectMultipartInfo, error) bool) {
		for key, upload := "", ""; ; {
			var page minio.ListMultipartUploadsResult
			err := s.call(ctx, listMultiparts, func(ctx context.Context) (err error) {
				page, err = s.core.ListMultipartUploads(ctx, s.bucket, prefix, key, upload, "", listPage)
				return err
			})
			if err != nil {
				yield(minio.ObjectMultipartInfo{}, err)
				return
			}
			for _, found := range page.Uploads {
				if strings.HasPrefix(found.Key, prefix) && !yield(found, nil) {
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

// listed is the Info of an upload of which no part was looked at.
func (s *Store) listed(found minio.ObjectMultipartInfo) store.Info {
	a := address{place: place{found.Key, found.UploadID}}
	return store.Info{
		ID: a.id(), Name: found.Key[len(s.prefix):], Length: store.UnknownLength,
		CreatedAt: found.Initiated, Location: s.uri(found.Key),
	}
}

// Finished implements store.Lister. The id of a finished object has S3's id of
// its multipart upload, which S3 doesn't keep, so there are none.
func (s *Store) Finished(ctx context.Context) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(store.Info{}, err)
		}
	}
}
