package s3store

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Put implements store.Putter by PutObject.
func (s *Store) Put(ctx context.Context, spec store.Spec, r io.Reader, sum store.Sum) (store.Info, error) {
	info, err := s.put(ctx, spec, r, sum)
	if err != nil {
		return store.Info{}, fmt.Errorf("put %s: %w", s.uri(s.prefix+spec.Name), err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, spec store.Spec, r io.Reader, sum store.Sum) (store.Info, error) {
	switch {
	case len(spec.ID) > bucket.MaxMarkBytes:
		return store.Info{}, fmt.Errorf("%w: the id has %d letters: at most %d", store.ErrInvalid, len(spec.ID), bucket.MaxMarkBytes)
	case spec.Length < 0:
		return store.Info{}, fmt.Errorf("%w: the length must be known", store.ErrInvalid)
	case spec.Length > min(bucket.MaxPartBytes, s.opts.MaxLength):
		return store.Info{}, fmt.Errorf("%w: %d bytes in one step, %d at most", store.ErrTooLarge, spec.Length, min(bucket.MaxPartBytes, s.opts.MaxLength))
	}
	key, err := s.key(spec.Name)
	if err != nil {
		return store.Info{}, err
	}
	o := bucket.Object{Key: key, Size: spec.Length, Sum: sum, Metadata: spec.Metadata, Mark: spec.ID, Coding: spec.ContentCoding, Sniffed: bucket.MediaType(spec.Head)}
	if o.Mark == "" {
		o.Mark = newMark()
	}
	charge, err := s.connections.Reserve(ctx, memory.KindConnection, s.bucket.PutBytes(sum))
	if err != nil {
		return store.Info{}, err
	}
	defer func() { _ = charge.Release() }()
	when := bucket.Always
	if spec.NoReplace {
		when = bucket.Absent
	}
	err = s.bucket.Put(ctx, &o, r, when)
	if errors.Is(err, store.ErrExists) {
		// Its own, where the answer to an earlier attempt was lost.
		there, herr := s.bucket.Head(ctx, key)
		if herr == nil && there.Mark == o.Mark {
			err = nil
		} else if errors.As(herr, new(*store.TransientError)) {
			err = herr
		}
	}
	if err != nil {
		return store.Info{}, err
	}
	return store.Info{
		Name: spec.Name, Length: spec.Length, Offset: spec.Length, Complete: true, Sum: sum, Metadata: spec.Metadata,
		Location: s.uri(key),
	}, nil
}
