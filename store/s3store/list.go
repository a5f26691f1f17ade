package s3store

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

var _ store.Lister = (*Store)(nil)

// Unfinished implements store.Lister by ListMultipartUploads, so it finds what
// other programs left, too. S3 doesn't tell an upload's length: what is listed
// can be looked at and aborted. It lists all that begins with the prefix, whose
// end is a slash.
func (s *Store) Unfinished(ctx context.Context, _ time.Time) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for found, err := range s.bucket.Multiparts(ctx, s.prefix) {
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

// listed is the Info of an upload of which no part was looked at.
func (s *Store) listed(found bucket.ListedMultipart) store.Info {
	a := address{Multipart: found.Multipart}
	return store.Info{
		ID: a.id(), Name: found.Key[len(s.prefix):], Length: store.UnknownLength,
		CreatedAt: found.Initiated, Location: s.uri(found.Key),
	}
}

// Finished implements store.Lister. The id of a finished object has S3's id of
// its multipart upload, which S3 doesn't keep, so there are none.
func (s *Store) Finished(ctx context.Context, _ time.Time) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(store.Info{}, err)
		}
	}
}

// Objects yields what is whole, by whomever: the Name, Length and Location of each
// object below the prefix, a page of 1000 at a time. It leaves out what belongs to
// uploads under way. An error is the last.
func (s *Store) Objects(ctx context.Context) iter.Seq2[store.Info, error] {
	return func(yield func(store.Info, error) bool) {
		for o, err := range s.bucket.Objects(ctx, s.prefix) {
			switch {
			case err != nil:
				yield(store.Info{}, fmt.Errorf("list objects in %s: %w", s.uri(s.prefix), err))
				return
			case strings.HasPrefix(o.Key, s.prefix+piecesDir):
			case !yield(s.listedObject(o), nil):
				return
			}
		}
	}
}

func (s *Store) listedObject(o bucket.Object) store.Info {
	return store.Info{
		Name: o.Key[len(s.prefix):], Length: o.Size, Offset: o.Size, Complete: true, ModifiedAt: o.Modified, Location: s.uri(o.Key),
	}
}
