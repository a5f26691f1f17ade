package filestore

import "context"

// deskPlaces is how many uploads may have the disk at work at the same time. A
// call that waits for the disk takes a thread of the system, and a change opens
// files: neither may be as many as there are uploads. More than these make no
// disk faster.
const deskPlaces = 32

// A desk is where uploads queue for the disk.
type desk chan struct{}

func (d desk) enter(ctx context.Context) error {
	select {
	case d <- struct{}{}:
		return nil
	default:
	}
	select {
	case d <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d desk) leave() { <-d }
