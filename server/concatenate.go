package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

func (u uploads) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Info, error) {
	if err := u.s.admitUpload(); err != nil {
		return store.Info{}, err
	}
	total := int64(0)
	for _, id := range ids {
		length, err := u.s.partialLength(ctx, id)
		if err != nil {
			return store.Info{}, err
		}
		if most := u.s.maxLength; most > 0 && length > most-total {
			return store.Info{}, protocol.TooLarge(most, fmt.Sprintf("the parts have more than %d bytes", most))
		}
		total += length
	}
	spec.Readable = u.s.readsUnfinished(spec)
	up, info, err := u.s.store.Concatenate(ctx, spec, ids)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrIncomplete) {
		return store.Info{}, fmt.Errorf("%w: a partial upload went just now: %v", store.ErrInvalid, err)
	}
	if err != nil {
		return store.Info{}, fmt.Errorf("concatenate: %w", err)
	}
	return u.s.begun(ctx, up, info)
}

// partialLength returns the length of a partial upload that has all its bytes.
func (s *Server) partialLength(ctx context.Context, id string) (int64, error) {
	info, err := s.store.Stat(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone),
		err == nil && (s.expired(info) || !tus.IsPartial(info.Metadata)):
		return 0, fmt.Errorf("%w: %.40q is no partial upload", store.ErrInvalid, id)
	case err != nil:
		return 0, fmt.Errorf("look up partial upload: %w", err)
	case info.Offset != info.Length:
		return 0, fmt.Errorf("%w: partial upload %s is unfinished", store.ErrInvalid, id)
	}
	return info.Length, nil
}
