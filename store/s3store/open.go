package s3store

import (
	"context"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/store"
)

// OpenObject opens the object of that name for reading, with its Info as of Find.
// Its bytes come as they are stored, also where they have a content coding.
//
// Errors: store.ErrNotFound, store.ErrDenied.
func (s *Store) OpenObject(ctx context.Context, name string) (io.ReadCloser, store.Info, error) {
	key, err := s.key(name)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("read %s: %w", s.uri(s.prefix+name), err)
	}
	info, err := s.Find(ctx, name, store.UnknownLength) // S3's client would compare the sum itself, and not say so
	if err != nil {
		return nil, store.Info{}, err
	}
	r, _, err := s.bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("read %s: %w", s.uri(key), err)
	}
	return r, info, nil
}
