package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/streamflow/streamflow/store"
)

// How often Serve looks for expired uploads: some time after they expire, which
// requests for them don't notice.
const (
	minSweepInterval = time.Second
	maxSweepInterval = 10 * time.Minute

	// orphanAge is how long what belongs to no upload stays at least: it may be of a
	// request that is under way.
	orphanAge = 24 * time.Hour
)

// expires says whether any upload ever goes by itself.
func (s *Server) expires() bool { return s.opts.ExpireAfter > 0 || s.opts.ExpireFinishedAfter > 0 }

// expiresAt returns when an upload goes, or the zero time where it stays. A
// partial upload is never finished.
func (s *Server) expiresAt(info store.Info) time.Time {
	after, last := s.opts.ExpireAfter, info.ModifiedAt
	if info.Complete {
		after = s.opts.ExpireFinishedAfter
	}
	if last.IsZero() {
		last = info.CreatedAt
	}
	if after == 0 || last.IsZero() {
		return time.Time{}
	}
	return last.Add(after)
}

// unfinishedUntil is what clients hear: by when they have to go on.
func (s *Server) unfinishedUntil(info store.Info) time.Time {
	if info.Complete {
		return time.Time{}
	}
	return s.expiresAt(info)
}

func (s *Server) expired(info store.Info) bool {
	at := s.expiresAt(info)
	return !at.IsZero() && time.Now().After(at)
}

// RemoveExpired discards the uploads that Options.ExpireAfter and
// ExpireFinishedAfter have made expire, but none that a request is under way for,
// and no file that somebody has put in the place of a finished one. With
// ExpireAfter it also removes what a crash left in a store.Cleaner, once that is as
// old, or a day. Serve calls it at an interval; who embeds the Server does.
func (s *Server) RemoveExpired(ctx context.Context) error {
	var errs []error
	if after := s.opts.ExpireAfter; after > 0 {
		errs = append(errs, s.removeAll(ctx, s.lister.Unfinished(ctx, time.Now().Add(-after))), s.removeOrphans(ctx))
	}
	if after := s.opts.ExpireFinishedAfter; after > 0 {
		errs = append(errs, s.removeAll(ctx, s.lister.Finished(ctx, time.Now().Add(-after))))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("remove expired uploads: %w", err)
	}
	return nil
}

// removeOrphans removes what uploads of nodes that died have left in the store.
func (s *Server) removeOrphans(ctx context.Context) error {
	if s.cleaner == nil {
		return nil
	}
	removed, err := s.cleaner.RemoveOrphans(ctx, time.Now().Add(-max(s.opts.ExpireAfter, orphanAge)))
	if removed > 0 {
		s.opts.Logger.Info("removed what belongs to no upload", "count", removed)
	}
	return err
}

// removeAll discards those uploads that have expired.
func (s *Server) removeAll(ctx context.Context, listed iter.Seq2[store.Info, error]) error {
	var errs []error
	removed := 0
	for info, err := range listed {
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
	return errors.Join(errs...)
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
	if errors.Is(err, store.ErrSuperseded) { // by another node
		return false, nil
	}
	return err == nil, err
}

// sweep removes what expires until ctx ends or stop is called, which waits.
func (s *Server) sweep(ctx context.Context) (stop func()) {
	if !s.expires() {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	interval := maxSweepInterval
	for _, after := range []time.Duration{s.opts.ExpireAfter, s.opts.ExpireFinishedAfter} {
		if after > 0 {
			interval = min(interval, max(after/4, minSweepInterval))
		}
	}
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
