package tus

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// A Problem is the body of an error, application/problem+json (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Code is stable; programs branch on it.
	Code string `json:"code"`
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// CodeSuperseded is the Code of a PATCH that a newer request has ended.
const CodeSuperseded = "SUPERSEDED"

// StatusChecksumMismatch is what the checksum extension of tus defines.
const StatusChecksumMismatch = 460

// What is wrong with a request before any upload is looked at.
var (
	errVersion     = errors.New("this server speaks tus " + Version + ": send Tus-Resumable: " + Version)
	errContentType = errors.New("the Content-Type of an upload's bytes is " + ContentType)
	errMethod      = errors.New("method not allowed here")
)

// status is the one place where errors become answers. detail is whether the
// error's text is for the client: it's about the request, not our insides.
func status(err error) (code int, name string, detail bool) {
	var offset *store.OffsetError
	var transient *store.TransientError
	switch {
	case errors.Is(err, errMethod):
		return http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", true
	case errors.Is(err, errVersion):
		return http.StatusPreconditionFailed, "UNSUPPORTED_VERSION", true
	case errors.Is(err, errContentType):
		return http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", true
	case errors.As(err, &offset):
		return http.StatusConflict, "OFFSET_MISMATCH", true
	case errors.Is(err, store.ErrSuperseded):
		return http.StatusConflict, CodeSuperseded, true
	case errors.Is(err, store.ErrInvalid):
		return http.StatusBadRequest, "VALIDATION_ERROR", true
	case errors.Is(err, store.ErrTooLarge):
		return http.StatusRequestEntityTooLarge, "INVALID_FILE", true
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, "NOT_FOUND", false
	case errors.Is(err, store.ErrGone):
		return http.StatusGone, "GONE", false
	case errors.Is(err, store.ErrDenied):
		return http.StatusForbidden, "ACCESS_DENIED", false
	case errors.Is(err, store.ErrChecksum):
		return StatusChecksumMismatch, "CHECKSUM_MISMATCH", false
	case errors.Is(err, store.ErrNoSpace):
		return http.StatusInsufficientStorage, "NO_SPACE", false
	case errors.Is(err, memory.ErrLimit):
		return http.StatusServiceUnavailable, "MEMORY_LIMIT_EXCEEDED", false
	case errors.As(err, &transient):
		return http.StatusServiceUnavailable, "UNAVAILABLE", true
	case errors.Is(err, context.Canceled): // the client is gone, or its connection is
		return http.StatusServiceUnavailable, "UNAVAILABLE", false
	case errors.Is(err, io.ErrUnexpectedEOF):
		return http.StatusBadRequest, "INCOMPLETE_BODY", false
	default:
		return http.StatusInternalServerError, "INTERNAL_ERROR", false
	}
}

// defaultRetryAfter is for a 503 whose cause doesn't say when it passes.
const defaultRetryAfter = time.Second

// writeProblem answers with err. Headers that belong to the answer, such as
// Upload-Offset, are set before.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) int {
	code, name, detail := status(err)
	p := Problem{Type: "about:blank", Title: title(code), Status: code, Code: name}
	if detail {
		p.Detail = err.Error()
	}
	if code == http.StatusServiceUnavailable {
		after := defaultRetryAfter
		if transient := (*store.TransientError)(nil); errors.As(err, &transient) && transient.RetryAfter > 0 {
			after = transient.RetryAfter
		}
		w.Header().Set("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second)))
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number: can't be
	}
	w.Header().Set("Content-Type", ProblemType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone
	}
	return code
}

func title(code int) string {
	if code == StatusChecksumMismatch {
		return "Checksum Mismatch"
	}
	return http.StatusText(code)
}
