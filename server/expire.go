package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/streamflow/streamflow/store"
)

// How often Serve looks for expired uploads: some time after they expire, which
// requests for them don't notice.
const (
	minSweepInterval = time.Second
	maxSweepInterval = 10 * time.Minute
)

// expires returns when an upload goes, or the zero time where it stays. An
// upload that is finished stays; a partial one never is.
func (s *Server) expires(info store.Info) time.Time {
	last := info.ModifiedAt
	if last.IsZero() {
		last = info.CreatedAt
	}
	if s.opts.ExpireAfter == 0 || info.Complete || last.IsZero() {
		return time.Time{}
	}
	return last.Add(s.opts.ExpireAfter)
}

func (s *Server) expired(info store.Info) bool {
	at := s.expires(info)
	return !at.IsZero() && time.Now().After(at)
}

// RemoveExpired discards the uploads that Options.ExpireAfter has made expire,
// but none that a request is under way for. Serve calls it at an interval; who
// embeds the Server does.
func (s *Server) RemoveExpired(ctx context.Context) error {
	if s.opts.ExpireAfter == 0 {
		return nil
	}
	var errs []error
	removed := 0
	for info, err := range s.lister.Unfinished(ctx) {
		if err == nil && s.expired(info) {
			var gone bool
			if gone, err = s.removeExpired(ctx, info.ID); gone {
				removed++
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if removed > 0 {
		s.opts.Logger.Info("removed expired uploads", "count", removed)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove expired uploads: %w", err)
	}
	return nil
}

// removeExpired leaves the upload to a request that comes meanwhile.
func (s *Server) removeExpired(ctx context.Context, id string) (gone bool, err error) {
	t, done, ok := s.beginIfIdle(ctx, id)
	if !ok {
		return false, nil
	}
	defer done()
	up, info, err := s.store.Open(t.ctx, id)
	if errors.Is(err, store.ErrNotFound) || t.ended() != nil {
		return false, nil
	}
	if err != nil || !s.expired(info) {
		return false, err
	}
	err = s.discard(t.ctx, up, info)
	return err == nil, err
}

// sweep removes what expires until ctx ends or stop is called, which waits.
func (s *Server) sweep(ctx context.Context) (stop func()) {
	if s.opts.ExpireAfter == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	interval := min(max(s.opts.ExpireAfter/4, minSweepInterval), maxSweepInterval)
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			if err := s.RemoveExpired(ctx); err != nil && ctx.Err() == nil {
				s.opts.Logger.Error("expired uploads stay", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}
