package protocol

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// A RequestBody is a request's body with its connection's read deadline.
type RequestBody struct {
	io.Reader
	rc    *http.ResponseController
	ended atomic.Bool
	whole atomic.Bool
}

// NewRequestBody returns the body of r as a Body.
func NewRequestBody(w http.ResponseWriter, r *http.Request) *RequestBody {
	return &RequestBody{Reader: r.Body, rc: http.NewResponseController(w)}
}

// Read implements io.Reader.
func (b *RequestBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.ended.Store(true)
	}
	if err == io.EOF { // an error that wraps it is none
		b.whole.Store(true)
	}
	return n, err
}

// Whole says whether the body was read to its end.
func (b *RequestBody) Whole() bool { return b.whole.Load() }

// SetReadDeadline implements Body.
func (b *RequestBody) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		b.ended.Store(true)
	}
	return b.rc.SetReadDeadline(t)
}

// Settle says on the answer that the connection ends, if a deadline has ended
// the body: net/http then ends the context of the whole connection, for the
// requests after this one too.
func (b *RequestBody) Settle(w http.ResponseWriter) {
	if b.ended.Load() {
		w.Header().Set("Connection", "close")
	}
}
