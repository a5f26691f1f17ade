package filestore

import "context"

// diskPlaces is how many uploads may have the disk at work at the same time. A
// call that waits for the disk takes a thread of the system, and a change opens
// files: neither may be as many as there are uploads. More than these make no
// disk faster.
const diskPlaces = 32

// A semaphore has a place for each that may be at work.
type semaphore chan struct{}

func (s semaphore) acquire(ctx context.Context) error {
	select {
	case s <- struct{}{}:
		return nil
	default:
	}
	select {
	case s <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s semaphore) release() { <-s }
