package store

import (
	"errors"
	"fmt"
	"time"
)

// What callers branch on. Stores wrap them with what they were doing.
var (
	ErrNotFound    = errors.New("upload not found")
	ErrTaken       = errors.New("there is an upload with this id")
	ErrGone        = errors.New("upload has expired or was removed")
	ErrInvalid     = errors.New("invalid")
	ErrRefused     = errors.New("the destination doesn't take this file")
	ErrTooLarge    = errors.New("larger than the store allows")
	ErrNoSpace     = errors.New("no space left at the destination")
	ErrDenied      = errors.New("access denied")
	ErrUnsupported = errors.New("not supported by the destination")
	ErrSuperseded  = errors.New("a newer request took the upload over")
	ErrIncomplete  = errors.New("upload is incomplete")
	ErrExists      = errors.New("there is an object of that name")
	ErrChecksum    = errors.New("checksum differs")
	ErrRateLimited = errors.New("too many requests")
)

// An OffsetError is a Write at another place than an ordered store expects.
type OffsetError struct {
	Expected, Provided int64
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("offset is %d, not %d", e.Expected, e.Provided)
}

// A LimitError is a request for more than a store takes of something.
type LimitError struct {
	Err   error // that callers branch on, and what there is too much of
	Limit int64
}

func (e *LimitError) Error() string { return fmt.Sprintf("%v, of at most %d", e.Err, e.Limit) }

// Unwrap returns Err.
func (e *LimitError) Unwrap() error { return e.Err }

// A TransientError is trouble that may pass: the same call may succeed later.
type TransientError struct {
	Err error
	// RetryAfter is how long the destination asked to be left alone, or 0.
	RetryAfter time.Duration
}

func (e *TransientError) Error() string { return e.Err.Error() }

func (e *TransientError) Unwrap() error { return e.Err }

// Transient wraps err as a TransientError without a wish for the delay.
func Transient(err error) error {
	if err == nil {
		return nil
	}
	return &TransientError{Err: err}
}
