package tusstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// maxAnswerBytes is what is read of an answer's body: enough to explain.
const maxAnswerBytes = 4 << 10

// An answer of the server.
type answer struct {
	status int
	header http.Header
	body   []byte
	url    *url.URL // where the next request goes
}

// check returns nil if the answer is a success of tus for the method.
func (a *answer) check(method string) error {
	spoken := a.header.Get(tus.HeaderResumable) != ""
	switch {
	case a.status/100 == 2 && spoken && (method != http.MethodPost || a.status == http.StatusCreated):
		return nil
	case a.status/100 == 2, !spoken && method == http.MethodPost && a.foreign():
		return fmt.Errorf("%w: not a tus server: it answers a %s with %s", store.ErrUnsupported, method, a.describe())
	}
	return a.failure()
}

// mismatch: the server expects another offset, and says which.
func (a *answer) mismatch() bool {
	return a.status == http.StatusConflict && a.problem().Code != protocol.CodeSuperseded
}

// foreign: a status by which something that doesn't know tus refuses a POST.
func (a *answer) foreign() bool {
	switch a.status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusLengthRequired,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	}
	return false
}

// refused is what a server of ours says by its code, which says more than the
// status, or nil.
func (a *answer) refused() error {
	if a.status/100 != 4 {
		return nil
	}
	switch a.problem().Code {
	case protocol.CodeFile:
		if a.status == http.StatusRequestEntityTooLarge {
			return store.ErrTooLarge
		}
		return store.ErrRefused
	case protocol.CodeToken:
		return store.ErrDenied
	case protocol.CodeValidation:
		return store.ErrInvalid
	case protocol.CodeGrantUsed:
		return store.ErrTaken
	}
	return nil
}

// failure is the one place where answers become errors.
func (a *answer) failure() error {
	text := errors.New(a.describe())
	if refused := a.refused(); refused != nil {
		return fmt.Errorf("%w: %w", refused, text)
	}
	switch a.status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity,
		http.StatusRequestHeaderFieldsTooLarge: // of which metadata is the one that grows
		return fmt.Errorf("%w: %w", store.ErrInvalid, text)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %w", store.ErrDenied, text)
	case http.StatusNotFound:
		return fmt.Errorf("%w: %w", store.ErrNotFound, text)
	case http.StatusGone:
		return fmt.Errorf("%w: %w", store.ErrGone, text)
	case http.StatusConflict:
		if a.problem().Code == protocol.CodeSuperseded {
			return fmt.Errorf("%w: %w", store.ErrSuperseded, text)
		}
		return a.transient(text)
	case http.StatusRequestEntityTooLarge:
		return fmt.Errorf("%w: %w", store.ErrTooLarge, text)
	case protocol.StatusChecksumMismatch:
		return fmt.Errorf("%w: %w", store.ErrChecksum, text)
	case http.StatusTooManyRequests:
		return a.transient(fmt.Errorf("%w: %w", store.ErrRateLimited, text))
	case http.StatusInsufficientStorage:
		return a.transient(fmt.Errorf("%w: %w", store.ErrNoSpace, text))
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return a.transient(text)
	case http.StatusPreconditionFailed, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return fmt.Errorf("%w: %w", store.ErrUnsupported, text)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		return fmt.Errorf("%w: the server redirects to %q: if you trust that, use it as the endpoint",
			store.ErrUnsupported, a.location())
	}
	if a.status >= 500 {
		return a.transient(text)
	}
	return fmt.Errorf("%w: %w", store.ErrUnsupported, text)
}

func (a *answer) transient(err error) error {
	return &store.TransientError{Err: err, RetryAfter: transport.RetryAfter(a.header)}
}

// number reads a header that is a count of bytes.
func (a *answer) number(name string) (int64, error) {
	n, err := strconv.ParseUint(a.header.Get(name), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: not a tus server: %s is %.40q", store.ErrUnsupported, name, a.header.Get(name))
	}
	return int64(n), nil
}

// location is the header of that name, for a text.
func (a *answer) location() string {
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil {
		return "what is no URL"
	}
	return transport.Shown(u)
}

func (a *answer) problem() protocol.Problem {
	var p protocol.Problem
	if t, _, err := mime.ParseMediaType(a.header.Get("Content-Type")); err == nil && t == protocol.ProblemType {
		_ = json.Unmarshal(a.body, &p) // what can't be read explains nothing
	}
	return p
}

// describe returns the status and what the server says about it.
func (a *answer) describe() string {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)))
	p, detail := a.problem(), ""
	switch t, _, _ := mime.ParseMediaType(a.header.Get("Content-Type")); {
	case p.Detail != "":
		detail = p.Detail
	case t == "text/plain":
		detail = string(a.body)
	case t == "text/html":
		return status + ", an HTML page"
	}
	if detail = transport.Printable(detail); detail == "" {
		return status
	}
	return status + ": " + detail
}
