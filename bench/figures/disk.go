package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// measureDisk lets the disk run full while a crowd uploads, and empties it.
func measureDisk(ctx context.Context, b *bench) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	if err := b.build(ctx); err != nil {
		return err
	}
	size := b.size(8*mib, 2*mib)
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	room := size * crowdSize * 2
	if err := unix.Mount("tmpfs", store, "tmpfs", 0, fmt.Sprintf("size=%d", room)); err != nil {
		return fmt.Errorf("mount a small file system, which needs root: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(store, 0)) }()
	// Room is left for half of what the crowd has under way.
	ballast := filepath.Join(store, ".ballast")
	if err := fill(ballast, room-size*crowdSize/2); err != nil {
		return err
	}
	c, err := b.newCrowd(size, 192*kib)
	if err != nil {
		return err
	}
	err = b.whileDiskIsFull(ctx, c, store, ballast)
	b.reportCrowd(c, "disk full")
	var other int
	for status, n := range c.tally.Refusals {
		if status != http.StatusInsufficientStorage && status != http.StatusServiceUnavailable {
			other += n
		}
	}
	b.report.atLeast("refusals with 507 or 503", float64(c.tally.Refusals[http.StatusInsufficientStorage]+c.tally.Refusals[http.StatusServiceUnavailable]), 1)
	b.report.atMost("other refusals", float64(other), 0)
	return err
}

// whileDiskIsFull waits until nobody gets anything stored, and then for everybody to
// end with the ballast gone.
func (b *bench) whileDiskIsFull(ctx context.Context, c *crowd, store, ballast string) error {
	s, err := b.serve(ctx, store, nil, "--log-level", "error")
	if err != nil {
		return err
	}
	defer s.kill()
	c.meets(s.url)
	c.rest() // one upload each
	crowd := c.gather(ctx, store)
	defer crowd.disperse()
	for before := int64(-1); ; {
		select {
		case <-crowd.gone:
			return fmt.Errorf("the disk was never full: %w", errors.Join(crowd.err, errors.New("all uploads have ended")))
		case <-time.After(2 * time.Second):
		}
		now := c.acknowledged()
		if now == before {
			break
		}
		before = now
	}
	b.report.note("stood still with %.1f MiB acknowledged", inMiB(c.acknowledged()))
	if err := os.Remove(ballast); err != nil {
		return fmt.Errorf("make room: %w", err)
	}
	<-crowd.gone
	_, stopErr := s.stop()
	return errors.Join(crowd.err, stopErr)
}

// fill writes a file of zeros.
func fill(path string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer file.Close()
	if err := unix.Fallocate(int(file.Fd()), 0, 0, size); err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	return nil
}
