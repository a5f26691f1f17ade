package policy

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store"
)

// A Backend is a store as the server has it: what the store beneath can't is
// store.ErrUnsupported.
type Backend interface {
	store.Store
	store.Concatenator
	store.Reader
}

// A countedStore keeps a ledger of what is in a store. It is exact as long as
// nobody else changes the store and requests for one upload take turns.
type countedStore struct {
	Backend
	ledger *ledger
}

// load adds what is there already. It tells of uploads that can't be read, which
// don't count.
func (l *ledger) load(ctx context.Context, lister store.Lister, unreadable func(id string, err error)) error {
	for _, walk := range []iter.Seq2[store.Info, error]{lister.Unfinished(ctx, time.Time{}), lister.Finished(ctx, time.Time{})} {
		for info, err := range walk {
			switch {
			case err == nil:
				l.change(account{}, accountOf(info))
			case info.ID == "":
				return fmt.Errorf("count what the store has: %w", err)
			default:
				unreadable(info.ID, err)
			}
		}
	}
	return nil
}

// Create implements store.Store.
func (s *countedStore) Create(ctx context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	if s.ledger.maxUploads > 0 {
		spec.Metadata = maps.Clone(spec.Metadata)
		if spec.Metadata == nil {
			spec.Metadata = make(map[string]string)
		}
		spec.Metadata[clientKey] = auth.FromContext(ctx).Key()
	}
	reserved := accountOf(store.Info{Length: spec.Length, Metadata: spec.Metadata})
	if err := s.ledger.admit(account{}, reserved); err != nil {
		return nil, store.Info{}, err
	}
	up, info, err := s.Backend.Create(ctx, spec)
	if err != nil {
		s.ledger.change(reserved, account{})
		return nil, store.Info{}, err
	}
	return s.upload(up, info), info, nil
}

// Open implements store.Store.
func (s *countedStore) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	up, info, err := s.Backend.Open(ctx, id)
	if err != nil {
		return nil, store.Info{}, err
	}
	return s.upload(up, info), info, nil
}

// Concatenate implements store.Concatenator.
func (s *countedStore) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Upload, store.Info, error) {
	var reserved account
	up, info, err := s.concatenate(ctx, spec, ids, &reserved)
	if err != nil {
		s.ledger.change(reserved, account{})
		return nil, store.Info{}, err
	}
	s.ledger.change(reserved, accountOf(info))
	return s.upload(up, info), info, nil
}

func (s *countedStore) concatenate(ctx context.Context, spec store.Spec, ids []string, reserved *account) (store.Upload, store.Info, error) {
	for _, id := range ids {
		part, err := s.Stat(ctx, id)
		if err != nil {
			return nil, store.Info{}, err
		}
		more := account{bytes: reserved.bytes + part.Offset}
		if err := s.ledger.admit(*reserved, more); err != nil {
			return nil, store.Info{}, err
		}
		*reserved = more
	}
	return s.Backend.Concatenate(ctx, spec, ids)
}

func (s *countedStore) upload(up store.Upload, info store.Info) store.Upload {
	return &countedUpload{Upload: up, ledger: s.ledger, info: info, account: accountOf(info)}
}
