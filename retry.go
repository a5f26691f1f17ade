package streamflow

import (
	"errors"
	"time"

	"github.com/streamflow/streamflow/store"
)

const (
	backoffBase = 250 * time.Millisecond
	backoffCap  = 15 * time.Second
	// patience is how long failures go on at least before an upload gives up:
	// a server takes its time to restart.
	patience = 45 * time.Second
)

// A backoff decides after each failure how long to wait, or to give up. It is
// the one place that does: stores don't retry.
type backoff struct {
	limit  int            // failures in a row; not positive: give up at once
	jitter func() float64 // in [0, 1)

	failures int       // in a row
	first    time.Time // of them
}

// reset forgets the failures: there was progress.
func (b *backoff) reset() { b.failures = 0 }

// failed returns the delay before the next attempt, or the error to end with.
func (b *backoff) failed(now time.Time, err error) (time.Duration, error) {
	after, retryable := retryAfter(err)
	if !retryable {
		return 0, err
	}
	if b.failures == 0 {
		b.first = now
	}
	b.failures++
	lasted := now.Sub(b.first)
	if b.limit <= 0 || (b.failures >= b.limit && lasted >= patience) {
		return 0, &RetryError{Attempts: b.failures, For: lasted, Err: err}
	}
	// Full jitter, so that clients which failed together don't return together.
	ceiling := backoffCap
	if shift := b.failures - 1; shift < 6 { // 250 ms << 6 is beyond the cap
		ceiling = min(backoffCap, backoffBase<<shift)
	}
	delay := time.Duration(b.jitter() * float64(ceiling))
	return max(delay, after), nil
}

// retryAfter reports whether the same call may succeed later, and how long the
// destination asked to be left alone.
func retryAfter(err error) (time.Duration, bool) {
	if t, ok := errors.AsType[*store.TransientError](err); ok {
		return t.RetryAfter, true
	}
	return 0, isType[*store.OffsetError](err)
}
