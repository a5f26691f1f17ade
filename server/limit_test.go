package server_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/server/policy"
)

// Whatever is more than may be is told how much that is.
func TestLimitsAreNamed(t *testing.T) {
	type answer func(r *rig) (*http.Response, []byte)
	create := func(headers ...string) answer {
		return func(r *rig) (*http.Response, []byte) { return r.do("POST", "/files/", nil, headers...) }
	}
	// again does the same as often as it goes well.
	again := func(one answer) answer {
		return func(r *rig) (resp *http.Response, text []byte) {
			for range 10 {
				if resp, text = one(r); resp.StatusCode >= 400 {
					break
				}
			}
			return resp, text
		}
	}
	for name, test := range map[string]struct {
		opts   server.Options
		ask    answer
		status int
		code   string
		limit  int64
	}{
		"length": {
			server.Options{MaxFileBytes: 100},
			create("Upload-Length", "101"), 413, protocol.CodeFile, 100,
		},
		"length that comes later": {
			server.Options{MaxFileBytes: 100}, func(r *rig) (*http.Response, []byte) {
				return r.patch(r.create("Upload-Defer-Length", "1"), "0", nil, "Upload-Length", "101")
			}, 413, protocol.CodeFile, 100,
		},
		"bytes without a length": {
			server.Options{MaxFileBytes: 100}, func(r *rig) (*http.Response, []byte) {
				return r.patch(r.create("Upload-Defer-Length", "1"), "0", chunked(string(sequence(101))))
			}, 413, protocol.CodeFile, 100,
		},
		"bytes beyond the length": {
			server.Options{}, func(r *rig) (*http.Response, []byte) {
				return r.patch(r.create("Upload-Length", "10"), "0", strings.NewReader("01234567890"))
			}, 413, protocol.CodeFile, 10,
		},
		"bytes beyond the length, chunked": {
			server.Options{}, func(r *rig) (*http.Response, []byte) {
				return r.patch(r.create("Upload-Length", "10"), "0", chunked("01234567890"))
			}, 413, protocol.CodeFile, 10,
		},
		"plain PUT": {
			server.Options{MaxFileBytes: 100}, func(r *rig) (*http.Response, []byte) {
				return r.do("PUT", "/files/a", chunked(string(sequence(101))), tus.HeaderResumable, "")
			}, 413, protocol.CodeFile, 100,
		},
		"RUFH beyond the length": {
			server.Options{}, func(r *rig) (*http.Response, []byte) {
				path := r.begin("0123", "Upload-Length", "10")
				return r.append(path, "4", "?0", chunked("4567890"))
			}, 400, protocol.CodeValidation, 10,
		},
		"parts": {
			server.Options{MaxFileBytes: 100}, func(r *rig) (*http.Response, []byte) {
				part := r.part(sequence(60))
				return r.do("POST", "/files/", nil, "Upload-Concat", "final;"+part+" "+part)
			}, 413, protocol.CodeFile, 100,
		},
		"gzip": {
			server.Options{}, func(r *rig) (*http.Response, []byte) {
				return r.patch(r.create("Upload-Defer-Length", "1"), "0", gzipped(strings.Repeat("\x00", 4<<20)), "Content-Encoding", "gzip")
			}, 413, protocol.CodeFile, 256,
		},
		"metadata": {
			server.Options{},
			create("Upload-Length", "1", "Upload-Metadata", "x "+base64.StdEncoding.EncodeToString(make([]byte, 9<<10))),
			400, protocol.CodeValidation, 32 << 10,
		},
		"uploads": {
			server.Options{Policy: policy.Options{MaxUploads: 2}},
			again(create("Upload-Length", "1")), 429, protocol.CodeRateLimit, 2,
		},
		"requests": {
			server.Options{Policy: policy.Options{RequestsPerMinute: 3}},
			again(create("Upload-Length", "1")), 429, protocol.CodeRateLimit, 3,
		},
		"quota": {
			server.Options{Policy: policy.Options{Quota: 100}},
			create("Upload-Length", "101"), 507, protocol.CodeNoSpace, 100,
		},
		"quota, bytes without a length": {
			server.Options{Policy: policy.Options{Quota: 100}}, func(r *rig) (*http.Response, []byte) {
				return r.patch(r.create("Upload-Defer-Length", "1"), "0", chunked(string(sequence(101))))
			}, 507, protocol.CodeNoSpace, 100,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &test.opts)
			resp, text := test.ask(r)
			r.wantLimit(resp, text, test.status, test.code, test.limit)
		})
	}
	t.Run("signed URL", func(t *testing.T) {
		r, _ := newGrantRig(t)
		path, _ := r.signedPath(auth.Grant{MaxBytes: 9})
		resp, text := r.do("POST", path, nil, "Upload-Length", "10")
		r.wantLimit(resp, text, 413, protocol.CodeFile, 9)
	})
}

func (r *rig) wantLimit(resp *http.Response, text []byte, status int, code string, limit int64) {
	r.Helper()
	r.wantProblem(resp, text, status, code)
	if p := problem(r.T, text); p.Limit != limit {
		r.Errorf("limit is %d, want %d: %s", p.Limit, limit, text)
	}
}
