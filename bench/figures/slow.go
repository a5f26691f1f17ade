package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	slowBudget = 320 // MiB
	slowRounds = 6   // pieces of each upload
	slowPiece  = 700 // bytes
)

// measureSlow opens thousands of uploads that each send a little now and then,
// to our server and to a bare handler that throws the bytes away.
func measureSlow(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	bare, err := b.buildBare(ctx)
	if err != nil {
		return err
	}
	b.report.columns("server", "uploads", "peak MiB", "KiB an upload", "CPU s", "seconds", "lost")
	counts := []int{3000, 9000}
	if b.quick {
		counts = []int{500}
	}
	for _, n := range counts {
		base, err := b.slowRun(ctx, "bare handler", n, func() (*server, error) { return startBare(ctx, bare, "") })
		if err != nil {
			return err
		}
		ours, err := b.slowOurs(ctx, n)
		if err != nil {
			return err
		}
		b.report.atMost(fmt.Sprintf("%d uploads, peak, MiB", n), inMiB(ours.PeakRSS), slowBudget)
		if !b.quick {
			b.report.atMost(fmt.Sprintf("%d uploads, peak over that of the bare handler", n), float64(ours.PeakRSS)/float64(base.PeakRSS), 1.3)
		}
	}
	return nil
}

func (b *bench) slowOurs(ctx context.Context, n int) (usage, error) {
	store, err := b.emptyDir("store")
	if err != nil {
		return usage{}, err
	}
	u, err := b.slowRun(ctx, ours, n, func() (*server, error) {
		return b.serve(ctx, store, nil, "--max-memory", fmt.Sprintf("%dMiB", slowBudget), "--log-level", "warn")
	})
	if err != nil {
		return u, err
	}
	return u, verifySlow(store, n)
}

// slowRun has n uploads open at once, each with a connection of its own.
func (b *bench) slowRun(ctx context.Context, name string, n int, begin func() (*server, error)) (usage, error) {
	s, err := begin()
	if err != nil {
		return usage{}, err
	}
	start := time.Now()
	lost, err := sendSlowly(ctx, s.url, n)
	took := time.Since(start)
	u, stopErr := s.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return u, fmt.Errorf("%d uploads to %s: %w", n, name, err)
	}
	b.report.row(name, n, inMiB(u.PeakRSS), float64(u.PeakRSS)/kib/float64(n), u.CPU.Seconds(), took.Seconds(), lost)
	b.report.atMost(fmt.Sprintf("%d uploads to %s, lost", n, name), float64(lost), 0)
	return u, nil
}

// sendSlowly sends all pieces of all uploads in turn, and returns how many did
// not become whole.
func sendSlowly(ctx context.Context, url string, n int) (lost int, err error) {
	uploads := make([]*rawUpload, n)
	defer func() {
		for _, u := range uploads {
			u.close()
		}
	}()
	err = inParallel(n, 64, func(i int) (err error) {
		uploads[i], err = openRaw(ctx, url, slowRounds*slowPiece)
		return err
	})
	if err != nil {
		return 0, err
	}
	for round := range slowRounds {
		pause := time.NewTimer(2 * time.Second)
		for i, u := range uploads {
			if err := u.send(pieceOf(i, round)); err != nil {
				return 0, fmt.Errorf("upload %d, piece %d: %w", i, round, err)
			}
		}
		<-pause.C
	}
	var mu sync.Mutex
	err = inParallel(n, 256, func(i int) error {
		if status, err := uploads[i].answer(); err != nil || status != 204 {
			mu.Lock()
			lost++
			mu.Unlock()
		}
		return nil
	})
	return lost, err
}

func pieceOf(upload, round int) []byte {
	piece := fmt.Appendf(nil, "upload %d piece %d ", upload, round)
	return append(piece, bytes.Repeat([]byte{'.'}, slowPiece-len(piece))...)
}

// verifySlow holds each stored file to what one of the uploads has sent.
func verifySlow(store string, n int) error {
	entries, err := os.ReadDir(store)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	seen := map[int]bool{}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(store, entry.Name()))
		if err != nil {
			return fmt.Errorf("verify: %w", err)
		}
		var upload int
		if _, err := fmt.Sscanf(string(content), "upload %d ", &upload); err != nil {
			return fmt.Errorf("verify %s: %w", entry.Name(), err)
		}
		var want []byte
		for round := range slowRounds {
			want = append(want, pieceOf(upload, round)...)
		}
		if !bytes.Equal(content, want) {
			return fmt.Errorf("verify: %s is not upload %d", entry.Name(), upload)
		}
		seen[upload] = true
	}
	if len(seen) != n {
		return fmt.Errorf("verify: %d of %d uploads are stored", len(seen), n)
	}
	return nil
}
