package protocol_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

func TestWriteProblem(t *testing.T) {
	refusal := &protocol.Refusal{
		Status: 422, Code: "SCAN_FAILED", Detail: "the file has a virus", Limit: 7, RetryAfter: 1500 * time.Millisecond,
		Header: http.Header{"X-Scanner": {"clam"}}, Err: store.ErrDenied,
	}
	for name, c := range map[string]struct {
		err    error
		want   string // the body, without its title
		header http.Header
	}{
		"refusal": {
			fmt.Errorf("hook: %w", refusal),
			`{"type":"about:blank","status":422,"detail":"the file has a virus","code":"SCAN_FAILED","limit":7}`,
			http.Header{"Retry-After": {"2"}, "X-Scanner": {"clam"}},
		},
		"refusal for now": {
			&protocol.Refusal{Status: 429, Code: protocol.CodeRateLimit},
			`{"type":"about:blank","status":429,"detail":"Too Many Requests","code":"RATE_LIMIT_EXCEEDED"}`,
			http.Header{"Retry-After": {"1"}},
		},
		"method": {
			protocol.MethodNotAllowed("GET"),
			`{"type":"about:blank","status":405,"detail":"this works here: GET","code":"METHOD_NOT_ALLOWED"}`,
			http.Header{"Allow": {"GET"}},
		},
		"too large": {
			protocol.TooLarge(10, "too much"),
			`{"type":"about:blank","status":413,"detail":"too much","code":"INVALID_FILE","limit":10}`,
			nil,
		},
		"too much for the store": {
			&store.LimitError{Err: fmt.Errorf("%w: metadata of 11 bytes", store.ErrInvalid), Limit: 10},
			`{"type":"about:blank","status":400,"detail":"invalid: metadata of 11 bytes, of at most 10","code":"VALIDATION_ERROR","limit":10}`,
			nil,
		},
		"too much for the budget": {
			fmt.Errorf("reserve: %w", &memory.LimitError{Manager: "secret", Limit: 10}),
			`{"type":"about:blank","status":503,"detail":"the server has too little memory for this","code":"MEMORY_LIMIT_EXCEEDED","limit":10}`,
			nil,
		},
		"denied to the server": {
			fmt.Errorf("write: %w", store.ErrDenied),
			`{"type":"about:blank","status":500,"detail":"the server failed, and its log says why","code":"INTERNAL_ERROR"}`,
			nil,
		},
		"another length": {
			protocol.InconsistentLength("it is 3"),
			`{"type":"https://iana.org/assignments/http-problem-types#inconsistent-upload-length","status":400,"detail":"it is 3","code":"VALIDATION_ERROR"}`,
			nil,
		},
		"another offset": {
			fmt.Errorf("write: %w", &store.OffsetError{Expected: 0, Provided: 5}),
			`{"type":"https://iana.org/assignments/http-problem-types#mismatching-upload-offset","status":409,"detail":"write: offset is 0, not 5","code":"OFFSET_MISMATCH","expected-offset":0,"provided-offset":5}`,
			nil,
		},
		"rate limited": {
			&store.TransientError{Err: store.ErrRateLimited, RetryAfter: 3 * time.Second},
			`{"type":"about:blank","status":429,"detail":"this is more than the store takes at once: try again","code":"RATE_LIMIT_EXCEEDED"}`,
			http.Header{"Retry-After": {"3"}},
		},
		"secret": {
			errors.New("the password is 1234"),
			`{"type":"about:blank","status":500,"detail":"the server failed, and its log says why","code":"INTERNAL_ERROR"}`,
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			status := protocol.WriteProblem(w, httptest.NewRequest(http.MethodGet, "/", nil), c.err)
			var got, want map[string]any
			if err := errors.Join(json.Unmarshal(w.Body.Bytes(), &got), json.Unmarshal([]byte(c.want), &want)); err != nil {
				t.Fatal(err)
			}
			if got["title"] == "" || w.Code != status || got["status"] != float64(status) {
				t.Errorf("%d: %s", w.Code, w.Body)
			}
			delete(got, "title")
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("problem is %v, want %v", got, want)
			}
			for name := range c.header {
				if w.Header().Get(name) != c.header.Get(name) {
					t.Errorf("%s is %q, want %q", name, w.Header().Get(name), c.header.Get(name))
				}
			}
		})
	}
	if !errors.Is(refusal, store.ErrDenied) || !errors.Is(protocol.TooLarge(1, ""), store.ErrTooLarge) {
		t.Error("a refusal isn't the error in it")
	}
}
