package streamflow

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// What callers branch on, beside the errors of packages store and memory.
var (
	// ErrSourceChanged: the file is no longer what it was when the upload began.
	ErrSourceChanged = errors.New("source changed during the upload")
	// ErrAborted: Abort was called.
	ErrAborted = errors.New("upload was aborted")
	// ErrFinished: there is nothing left to abort.
	ErrFinished = errors.New("upload is finished")
	// ErrClosed: the Manager was closed.
	ErrClosed = errors.New("upload manager is closed")
	// ErrPressure: memory stayed critical and this upload had to give up.
	ErrPressure = errors.New("memory stayed critical")
	// ErrBusy: the same file is on its way to the same destination already.
	ErrBusy = journal.ErrBusy
)

// A SourceError is trouble with the source, not with the destination.
type SourceError struct {
	Name string
	Err  error
}

func (e *SourceError) Error() string { return fmt.Sprintf("read %s: %v", e.Name, e.Err) }

func (e *SourceError) Unwrap() error { return e.Err }

// A RetryError ends an upload whose retries are exhausted.
type RetryError struct {
	Attempts int           // failures in a row
	For      time.Duration // from the first of them to the last
	Err      error         // the last
}

func (e *RetryError) Error() string {
	if e.Attempts == 1 {
		return fmt.Sprintf("gave up after 1 attempt: %v", e.Err)
	}
	return fmt.Sprintf("gave up after %d attempts in %s: %v", e.Attempts, e.For.Round(time.Second), e.Err)
}

func (e *RetryError) Unwrap() error { return e.Err }

// Codes as returned by [Code], the same in every client of Streamflow.
const (
	CodeRateLimit  = "RATE_LIMIT_EXCEEDED"
	CodeFile       = "INVALID_FILE"
	CodeMemory     = "MEMORY_LIMIT_EXCEEDED"
	CodeToken      = "INVALID_TOKEN"
	CodeNetwork    = "NETWORK_ERROR"
	CodeValidation = "VALIDATION_ERROR"
	CodeEncryption = "ENCRYPTION_FAILED"
	CodeWorker     = "WORKER_ERROR"
)

// Code returns the stable code of an error of this package: "" for nil, and
// WORKER_ERROR for what none of the other codes covers.
func Code(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, memory.ErrLimit), errors.Is(err, ErrPressure):
		return CodeMemory
	case isType[*SourceError](err), isAny(err, ErrSourceChanged, store.ErrRefused, store.ErrTooLarge):
		return CodeFile
	case isEncryption(err):
		return CodeEncryption
	case errors.Is(err, store.ErrDenied):
		return CodeToken
	case isAny(err, store.ErrInvalid, store.ErrUnsupported, store.ErrChecksum, store.ErrExists, store.ErrTaken):
		return CodeValidation
	case errors.Is(err, store.ErrRateLimited):
		return CodeRateLimit
	case isType[*store.TransientError](err), isType[net.Error](err), isType[*RetryError](err):
		return CodeNetwork
	default:
		return CodeWorker
	}
}

func isEncryption(err error) bool {
	e, ok := errors.AsType[*EncodeError](err)
	return ok && e.Kind == memory.KindEncryption
}

func isType[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func isAny(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}
