package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	fullBudget  = 64 // MiB
	fullWaiting = 200
)

// measureFull opens uploads until one is refused, then has others ask again as
// they are told to while those under way go on: all of them must become whole.
func measureFull(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	s, err := b.serve(ctx, store, nil, "--max-memory", fmt.Sprintf("%dMiB", fullBudget), "--log-level", "warn")
	if err != nil {
		return err
	}
	f := &filling{url: s.url}
	err = f.run(ctx)
	u, stopErr := s.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	b.report.columns("admitted at first", "refused in all", "waiting", "longest wait s", "peak MiB")
	b.report.row(len(f.open), f.refused.Load(), fullWaiting, f.longest.Seconds(), inMiB(u.PeakRSS))
	b.report.atLeast("uploads refused with 503", float64(f.refused.Load()), 1)
	b.report.atMost("refusals without Retry-After", float64(f.silent.Load()), 0)
	b.report.atMost("uploads lost or starved", float64(f.lost.Load()), 0)
	b.report.atMost("peak, MiB", inMiB(u.PeakRSS), fullBudget)
	return verifySlow(store, len(f.open)+fullWaiting)
}

// A filling is a server whose budget is being used up.
type filling struct {
	url                   string
	open                  []*rawUpload // in the order of pieceOf
	refused, silent, lost atomic.Int64

	mu      sync.Mutex
	longest time.Duration
}

func (f *filling) run(ctx context.Context) error {
	defer func() {
		for _, u := range f.open {
			u.close()
		}
	}()
	for {
		u, _, err := f.try(ctx)
		if err != nil {
			return err
		}
		if u == nil {
			break
		}
		f.open = append(f.open, u)
	}
	var waiting sync.WaitGroup
	for i := range fullWaiting {
		waiting.Go(func() { f.keepTrying(ctx, len(f.open)+i) })
	}
	for round := range slowRounds {
		for i, u := range f.open {
			if err := u.send(pieceOf(i, round)); err != nil {
				return fmt.Errorf("upload %d, piece %d: %w", i, round, err)
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	err := inParallel(len(f.open), 64, func(i int) error {
		f.end(f.open[i])
		return nil
	})
	waiting.Wait()
	return err
}

// try opens an upload, or returns how long the server wants to be left alone.
func (f *filling) try(ctx context.Context) (*rawUpload, time.Duration, error) {
	u, err := openRaw(ctx, f.url, slowRounds*slowPiece)
	var refused *refusedError
	if !errors.As(err, &refused) {
		return u, 0, err
	}
	if refused.status != 503 {
		return nil, 0, err
	}
	f.refused.Add(1)
	after, err := strconv.Atoi(refused.retryAfter)
	if err != nil {
		f.silent.Add(1)
		after = 1
	}
	return nil, time.Duration(after) * time.Second, nil
}

func (f *filling) keepTrying(ctx context.Context, i int) {
	start := time.Now()
	for time.Since(start) < 2*time.Minute {
		u, after, err := f.try(ctx)
		if err != nil {
			break
		}
		if u == nil {
			time.Sleep(after)
			continue
		}
		f.mu.Lock()
		f.longest = max(f.longest, time.Since(start))
		f.mu.Unlock()
		for round := range slowRounds {
			if u.send(pieceOf(i, round)) != nil {
				break
			}
		}
		f.end(u)
		return
	}
	f.lost.Add(1)
}

func (f *filling) end(u *rawUpload) {
	if status, err := u.answer(); err != nil || status != 204 {
		f.lost.Add(1)
	}
	u.close()
}
