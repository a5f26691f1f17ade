package protocol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	// Detail is a sentence for a person.
	Detail string `json:"detail"`
	// Code is stable; programs branch on it.
	Code string `json:"code"`
	// Limit is the number that the request went beyond, where there is one.
	Limit int64 `json:"limit,omitempty"`
	// ExpectedOffset and ProvidedOffset are those of TypeMismatchingOffset.
	ExpectedOffset *int64 `json:"expected-offset,omitempty"`
	ProvidedOffset *int64 `json:"provided-offset,omitempty"`
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// Types of problems that draft-ietf-httpbis-resumable-upload registers.
const (
	typePrefix             = "https://iana.org/assignments/http-problem-types#"
	TypeMismatchingOffset  = typePrefix + "mismatching-upload-offset"
	TypeCompletedUpload    = typePrefix + "completed-upload"
	TypeInconsistentLength = typePrefix + "inconsistent-upload-length"
)

// Codes of problems.
const (
	CodeChecksum    = "CHECKSUM_MISMATCH"
	CodeCompleted   = "UPLOAD_COMPLETED"
	CodeDenied      = "ACCESS_DENIED"
	CodeFile        = "INVALID_FILE"
	CodeGone        = "GONE"
	CodeGrantUsed   = "GRANT_USED"
	CodeIncomplete  = "INCOMPLETE_BODY"
	CodeInternal    = "INTERNAL_ERROR"
	CodeMediaType   = "UNSUPPORTED_MEDIA_TYPE"
	CodeMemory      = "MEMORY_LIMIT_EXCEEDED"
	CodeMethod      = "METHOD_NOT_ALLOWED"
	CodeNotFound    = "NOT_FOUND"
	CodeNoSpace     = "NO_SPACE"
	CodeOffset      = "OFFSET_MISMATCH"
	CodeRateLimit   = "RATE_LIMIT_EXCEEDED"
	CodeToken       = "INVALID_TOKEN"
	CodeSuperseded  = "SUPERSEDED" // a newer request has ended this one
	CodeUnavailable = "UNAVAILABLE"
	CodeUnsupported = "UNSUPPORTED"
	CodeValidation  = "VALIDATION_ERROR"
)

// StatusChecksumMismatch is what the checksum extension of tus defines, beyond
// those of package http. A protocol that has no such status says 400 by a Refusal.
const StatusChecksumMismatch = 460

// problemOf is the one place where errors become answers.
func problemOf(err error) Problem {
	var (
		refusal *Refusal
		offset  *store.OffsetError
		limit   *store.LimitError
		budget  *memory.LimitError
	)
	switch {
	case errors.As(err, &refusal):
		p := problem(refusal.Status, refusal.Code, refusal.Error())
		if refusal.Type != "" {
			p.Type = refusal.Type
		}
		p.Limit = refusal.Limit
		return p
	case errors.As(err, &offset):
		p := problem(http.StatusConflict, CodeOffset, err.Error())
		p.Type, p.ExpectedOffset, p.ProvidedOffset = TypeMismatchingOffset, &offset.Expected, &offset.Provided
		return p
	}
	code, name, detail := status(err)
	if detail == "" {
		detail = err.Error()
	}
	p := problem(code, name, detail)
	switch {
	case errors.As(err, &limit):
		p.Limit = limit.Limit
	case errors.As(err, &budget):
		p.Limit = budget.Limit
	}
	return p
}

// status is the part of problemOf for errors that are no more than a kind. Where
// an error's text is about our insides and not about the request, detail is what
// the client hears instead. store.ErrDenied is none of them: what a store denies,
// it denies the server, and what a client may not is a Refusal.
func status(err error) (code int, name, detail string) {
	switch transient := (*store.TransientError)(nil); {
	case errors.Is(err, store.ErrSuperseded):
		return http.StatusConflict, CodeSuperseded, ""
	case errors.Is(err, store.ErrInvalid):
		return http.StatusBadRequest, CodeValidation, ""
	case errors.Is(err, store.ErrTooLarge):
		return http.StatusRequestEntityTooLarge, CodeFile, ""
	case errors.Is(err, store.ErrNotFound):
		return http.StatusNotFound, CodeNotFound, "there is nothing at this address"
	case errors.Is(err, store.ErrGone):
		return http.StatusGone, CodeGone, "the upload has expired or was ended: begin another one"
	case errors.Is(err, store.ErrChecksum):
		return StatusChecksumMismatch, CodeChecksum, "the bytes that came are not those of the checksum: send them again"
	case errors.Is(err, store.ErrRateLimited):
		return http.StatusTooManyRequests, CodeRateLimit, "this is more than the store takes at once: try again"
	case errors.Is(err, store.ErrUnsupported):
		return http.StatusNotImplemented, CodeUnsupported, "the store of this server can't do that"
	case errors.Is(err, store.ErrNoSpace):
		return http.StatusInsufficientStorage, CodeNoSpace, "the store is full: go on when it has room again"
	case errors.Is(err, memory.ErrLimit):
		return http.StatusServiceUnavailable, CodeMemory, "the server has too little memory for this"
	case errors.As(err, &transient):
		return http.StatusServiceUnavailable, CodeUnavailable, ""
	case errors.Is(err, context.Canceled): // the client is gone, or its connection is
		return http.StatusServiceUnavailable, CodeUnavailable, "the request was cut off: try again"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return http.StatusBadRequest, CodeIncomplete, "the body ended too early: ask for the offset and go on there"
	default:
		return http.StatusInternalServerError, CodeInternal, "the server failed, and its log says why"
	}
}

// Status returns the status that err is answered with.
func Status(err error) int { return problemOf(err).Status }

func problem(status int, code, detail string) Problem {
	return Problem{Type: "about:blank", Title: title(status), Status: status, Code: code, Detail: detail}
}

func title(status int) string {
	if status == StatusChecksumMismatch {
		return "Checksum Mismatch"
	}
	return http.StatusText(status)
}

// defaultRetryAfter is for a 429 or 503 whose cause doesn't say when it passes.
const defaultRetryAfter = time.Second

// WriteProblem answers with err, and returns the status. Headers that belong
// to the answer, such as Upload-Offset, are set before.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) int {
	status, body := prepare(w.Header(), err)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may be gone
	}
	return status
}

// FormatProblem returns the answer to err as a connection of HTTP/1.1 has it, for
// where no request could be made of what came. The connection ends with it.
func FormatProblem(err error) []byte {
	header := http.Header{"Connection": {"close"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}}
	status, body := prepare(header, err)
	var answer bytes.Buffer
	fmt.Fprintf(&answer, "HTTP/1.1 %d %s\r\n", status, title(status))
	_ = header.Write(&answer) // into memory: it doesn't fail
	answer.WriteString("\r\n")
	answer.Write(body)
	return answer.Bytes()
}

// prepare sets the headers of the answer to err.
func prepare(header http.Header, err error) (status int, body []byte) {
	p := problemOf(err)
	if refusal := (*Refusal)(nil); errors.As(err, &refusal) {
		maps.Copy(header, refusal.Header)
	}
	after := retryAfter(err)
	if after == 0 && (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests) {
		after = defaultRetryAfter
	}
	if after > 0 {
		header.Set("Retry-After", strconv.FormatInt(int64((after+time.Second-1)/time.Second), 10))
	}
	if body, err = json.Marshal(p); err != nil {
		panic(err) // strings and numbers: can't be
	}
	body = append(body, '\n')
	header.Set("Content-Type", ProblemType)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	return p.Status, body
}
