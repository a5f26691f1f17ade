package protocol

import (
	"errors"
	"net/http"
	"time"

	"github.com/streamflow/streamflow/store"
)

// A Refusal is an error that says itself how it is answered. Status and Code
// are required.
type Refusal struct {
	Status int    // of HTTP, from 400
	Code   string // of the Problem
	// Type of the Problem, a URI; default "about:blank".
	Type string
	// Detail is a sentence for a person: what was wrong and what to do.
	Detail string
	// Limit is the number that the request went beyond, or 0.
	Limit int64
	// RetryAfter is when it may go better. It is rounded up to seconds; 0 leaves
	// the header out, but for 429 and 503, which always have it.
	RetryAfter time.Duration
	// Header is added to the answer, and replaces what is there.
	Header http.Header
	// Err is what errors.Is and errors.As find, or nil.
	Err error
}

// Error implements error.
func (r *Refusal) Error() string {
	switch {
	case r.Detail != "":
		return r.Detail
	case r.Err != nil:
		return r.Err.Error()
	default:
		return title(r.Status)
	}
}

// Unwrap returns Err.
func (r *Refusal) Unwrap() error { return r.Err }

// MethodNotAllowed refuses a method. allow lists those that work.
func MethodNotAllowed(allow string) *Refusal {
	return &Refusal{
		Status: http.StatusMethodNotAllowed,
		Code:   CodeMethod,
		Detail: "this works here: " + allow,
		Header: http.Header{"Allow": {allow}},
	}
}

// TooLarge refuses an upload of more than limit bytes. It is store.ErrTooLarge.
func TooLarge(limit int64, detail string) *Refusal {
	return &Refusal{
		Status: http.StatusRequestEntityTooLarge,
		Code:   CodeFile,
		Detail: detail,
		Limit:  limit,
		Err:    store.ErrTooLarge,
	}
}

// InconsistentLength refuses a length that contradicts an earlier one. It is
// store.ErrInvalid.
func InconsistentLength(detail string) *Refusal {
	return &Refusal{
		Status: http.StatusBadRequest,
		Code:   CodeValidation,
		Type:   TypeInconsistentLength,
		Detail: detail,
		Err:    store.ErrInvalid,
	}
}

// ErrCompleted refuses to append to an upload that is complete.
var ErrCompleted = &Refusal{
	Status: http.StatusBadRequest,
	Code:   CodeCompleted,
	Type:   TypeCompletedUpload,
	Detail: "the upload is complete, and nothing can be appended",
	Err:    store.ErrInvalid,
}

// retryAfter finds how long an error asks to wait, or 0.
func retryAfter(err error) time.Duration {
	if r := (*Refusal)(nil); errors.As(err, &r) && r.RetryAfter > 0 {
		return r.RetryAfter
	}
	if t := (*store.TransientError)(nil); errors.As(err, &t) {
		return t.RetryAfter
	}
	return 0
}
