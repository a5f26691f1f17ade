package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/streamflow/streamflow/internal/s3test"
)

// refusing VARIABLE REQUEST STATUS CODE [EXTRA] starts a service that takes every
// request as S3 does, but refuses those that begin with REQUEST, say "POST /bucket/a?uploads",
// and has VARIABLE as its URL. EXTRA is more of the refusal's XML.
func refusing(ts *testscript.TestScript, _ bool, args []string) {
	status, err := strconv.Atoi(args[2])
	ts.Check(err)
	extra := strings.Join(args[4:], "")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if strings.HasPrefix(r.Method+" "+r.RequestURI, args[1]) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			if strings.HasPrefix(args[3], "<") {
				_, _ = io.WriteString(w, args[3])
				return
			}
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message>%s</Error>", args[3], extra)
			return
		}
		answerAsS3(w, r)
	}))
	ts.Defer(srv.Close)
	ts.Setenv(args[0], srv.URL)
	ts.Setenv("AWS_ACCESS_KEY_ID", s3test.AccessKey)
	ts.Setenv("AWS_SECRET_ACCESS_KEY", s3test.SecretKey)
	ts.Setenv("AWS_REGION", s3test.Region)
}

// answerAsS3 answers the requests of an upload that nothing is kept of.
func answerAsS3(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && query.Has("uploads"):
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPut:
		w.Header().Set("ETag", `"1"`)
	case r.Method == http.MethodGet && query.Has("uploadId"):
		_, _ = io.WriteString(w, "<ListPartsResult></ListPartsResult>")
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}
