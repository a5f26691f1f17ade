package server_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/server"
)

// What is no request gets a problem too, first on its connection or behind others.
func TestMalformedRequests(t *testing.T) {
	const valid = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	var log syncBuffer
	r := serve(t, 100<<20, server.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for name, test := range map[string]struct {
		request, code, detail string
		status                int
		limit                 int64
	}{
		"no HTTP":           {"hello, is anybody there?\r\n\r\n", "VALIDATION_ERROR", "this is no HTTP request, or only a part of one", 400, 0},
		"no Host":           {"GET / HTTP/1.1\r\n\r\n", "VALIDATION_ERROR", "this is no HTTP request: missing required Host header", 400, 0},
		"broken field":      {"GET / HTTP/1.1\r\nHost: x\r\na b\r\n\r\n", "VALIDATION_ERROR", "this is no HTTP request, or only a part of one", 400, 0},
		"lengths that vary": {"POST /files/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "VALIDATION_ERROR", "this is no HTTP request, or only a part of one", 400, 0},
		"large fields":      {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 24<<10) + "\r\n\r\n", "HEADERS_TOO_LARGE", "the header fields have more bytes than this server reads", 431, 16 << 10},
		"coding":            {"POST /files/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "UNSUPPORTED", "the Transfer-Encoding of a body can only be chunked", 501, 0},
		"expectation":       {"POST /files/ HTTP/1.1\r\nHost: x\r\nExpect: cake\r\n\r\n", "UNSUPPORTED", "Expect can only be 100-continue", 417, 0},
		"version":           {"GET / HTTP/3.0\r\nHost: x\r\n\r\n", "UNSUPPORTED", "this server speaks HTTP/1.1 and HTTP/2", 505, 0},
	} {
		for before := range 2 {
			t.Run(fmt.Sprintf("%s, after %d", name, before), func(t *testing.T) {
				in := *r
				in.T = t
				c := in.dial()
				answers := bufio.NewReader(c)
				if before > 0 {
					in.raw(c, answers, valid)
				}
				resp, text := in.raw(c, answers, test.request)
				in.wantProblem(resp, text, test.status, test.code)
				if p := problem(t, text); p.Detail != test.detail || p.Limit != test.limit {
					t.Errorf("problem is %s", text)
				}
				if line := fmt.Sprintf("status=%d detail=%q", test.status, test.detail); !strings.Contains(log.String(), line) {
					t.Errorf("the log has no %s", line)
				}
				if !resp.Close || resp.Header.Get("Date") == "" {
					t.Errorf("headers are %v", resp.Header)
				}
			})
		}
	}
}

// raw sends a request, or what is none, and reads the answer.
func (r *rig) raw(c io.Writer, answers *bufio.Reader, request string) (*http.Response, []byte) {
	r.Helper()
	_, err := io.WriteString(c, request)
	r.must(err)
	resp, err := http.ReadResponse(answers, &http.Request{Method: http.MethodGet})
	r.must(err)
	text, err := io.ReadAll(resp.Body)
	r.must(err)
	r.must(resp.Body.Close())
	return resp, text
}

func TestRequestWithoutTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	r := serve(t, 100<<20, server.Options{TLS: &tls.Config{Certificates: certified.TLS.Certificates}})
	resp, text := r.do("GET", "/healthz", nil)
	r.wantProblem(resp, text, http.StatusBadRequest, "VALIDATION_ERROR")
	if !strings.Contains(problem(t, text).Detail, "https") {
		t.Errorf("problem is %s", text)
	}
}

// A file that looks like an answer is given back as it is, wherever in it the system
// happens to be called.
func TestDownloadOfAnAnswer(t *testing.T) {
	refusal := []byte("HTTP/1.1 400 Bad Request\r\n\r\n")
	file := bytes.Repeat(refusal, 2000)
	eachProtocol(t, server.Options{AllowReading: true}, func(r *rig) {
		path := r.create("Upload-Length", fmt.Sprint(len(file)))
		r.patch(path, "0", bytes.NewReader(file))
		for i := range refusal {
			resp, text := r.do("GET", path, nil, "Range", fmt.Sprintf("bytes=%d-", i))
			if resp.StatusCode != http.StatusPartialContent || !bytes.Equal(text, file[i:]) {
				r.Fatalf("from %d on: %s, %d bytes", i, resp.Status, len(text))
			}
		}
	})
}
