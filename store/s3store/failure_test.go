package s3store_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/s3store"
)

// A service takes multipart uploads of a part, but answers one kind of request
// as a test wants: "POST ?uploads", "PUT", "GET", "POST" or "DELETE".
type service struct {
	request string
	answer  http.HandlerFunc

	mu      sync.Mutex
	seen    []*http.Request
	aborted bool
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	s.seen = append(s.seen, r)
	s.aborted = s.aborted || r.Method == http.MethodDelete
	gone := s.aborted && r.Method == http.MethodGet
	s.mu.Unlock()
	kind := r.Method
	if r.URL.Query().Has("uploads") {
		kind += " ?uploads"
	}
	switch {
	case kind == s.request:
		s.answer(w, r)
	case gone:
		refuse(404, "NoSuchUpload")(w, r)
	case kind == "POST ?uploads":
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>7</UploadId></InitiateMultipartUploadResult>")
	case kind == "PUT":
		w.Header().Set("ETag", `"1"`)
	case kind == "GET":
		_, _ = io.WriteString(w, "<ListPartsResult><Part><PartNumber>1</PartNumber><ETag>1</ETag><Size>10</Size></Part></ListPartsResult>")
	case kind == "POST":
		_, _ = io.WriteString(w, "<CompleteMultipartUploadResult><Bucket>b</Bucket></CompleteMultipartUploadResult>")
	case kind == "DELETE":
		w.WriteHeader(http.StatusNoContent)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// ask makes the calls of one small upload until one fails.
func ask(t *testing.T, s *service, opts s3store.Options) error {
	t.Helper()
	hs := httptest.NewServer(s)
	defer hs.Close()
	opts.Endpoint = hs.URL
	if opts.Region == "" {
		opts.Region = "here"
	}
	if opts.Credentials == (s3store.Credentials{}) {
		opts.Credentials = s3store.Credentials{AccessKey: "key", SecretKey: "secret"}
	}
	st, err := s3store.Open("bucket", "", newMemory(t), &opts)
	check(t, err)
	defer func() { check(t, st.Close()) }()
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x.html", Length: 10, NoReplace: true})
	if err != nil {
		return err
	}
	if _, err := u.Write(t.Context(), 0, strings.NewReader("0123456789"), 10); err != nil {
		return err
	}
	if _, err := u.Finish(t.Context(), store.Sum{}); s.request != "DELETE" && err != nil {
		return err
	}
	return u.Abort(t.Context())
}

func refuse(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>what went\u009b31m wrong</Message></Error>", code)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status    int
		code      string
		want      error
		transient bool
		says      string
	}{
		{404, "NoSuchBucket", store.ErrNotFound, false, "there is no bucket bucket at 127.0.0.1"},
		{403, "AccessDenied", store.ErrDenied, false, "it takes the permission s3:"},
		{403, "InvalidAccessKeyId", store.ErrDenied, false, "doesn't accept the credentials"},
		{403, "SignatureDoesNotMatch", store.ErrDenied, false, "doesn't accept the credentials"},
		{400, "ExpiredToken", store.ErrDenied, false, "the credentials have expired: get new ones"},
		{403, "RequestTimeTooSkewed", store.ErrDenied, false, "clock is off by"},
		{400, "AuthorizationHeaderMalformed", store.ErrInvalid, false, "another region"},
		{400, "EntityTooLarge", store.ErrTooLarge, false, ""},
		{400, "BadDigest", store.ErrChecksum, false, ""},
		{403, "QuotaExceeded", store.ErrNoSpace, false, ""},
		{400, "InvalidRequest", store.ErrInvalid, false, ""},
		{501, "NotImplemented", store.ErrUnsupported, false, ""},
		{503, "SlowDown", store.ErrRateLimited, true, ""},
		{429, "TooManyRequests", store.ErrRateLimited, true, ""},
		{500, "InternalError", nil, true, ""},
		{409, "OperationAborted", nil, true, ""},
		{400, "RequestTimeout", nil, true, ""},
		{507, "InsufficientStorage", store.ErrNoSpace, true, ""},
		{418, "Teapot", store.ErrUnsupported, false, ""},
	} {
		for _, request := range []string{"POST ?uploads", "PUT", "GET", "POST", "DELETE"} {
			t.Run(c.code+" to "+request, func(t *testing.T) {
				err := ask(t, &service{request: request, answer: refuse(c.status, c.code)}, s3store.Options{})
				if request == "DELETE" && errors.Is(c.want, store.ErrNotFound) {
					check(t, err)
					return
				}
				if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
					t.Fatalf("error is %v, want %v", err, c.want)
				}
				passes := c.transient || (request == "PUT" && errors.Is(c.want, store.ErrChecksum))
				if transient := (*store.TransientError)(nil); errors.As(err, &transient) != passes {
					t.Errorf("transient: %v", err)
				} else if passes && transient.RetryAfter != 7*time.Second {
					t.Errorf("RetryAfter is %v", transient.RetryAfter)
				}
				if !strings.Contains(err.Error(), c.says) || strings.ContainsRune(err.Error(), '\u009b') {
					t.Errorf("error is %q", err)
				}
			})
		}
	}
}

func TestNoReplaceRefused(t *testing.T) {
	err := ask(t, &service{request: "POST", answer: refuse(412, "PreconditionFailed")}, s3store.Options{})
	wants(t, err, store.ErrExists)
}

// What is there already isn't found out at the end.
func TestNoReplaceLooksFirst(t *testing.T) {
	s := &service{request: "HEAD", answer: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
	}}
	wants(t, ask(t, s, s3store.Options{}), store.ErrExists)
	if len(s.seen) != 1 {
		t.Errorf("%d requests were made", len(s.seen))
	}
}

// A service that refuses a part early closes the connection. What was still on its way
// to it then resets that, and the answer is lost.
func TestRefusalThatIsLost(t *testing.T) {
	s := &service{request: "PUT"}
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		s.request, s.answer = "GET", refuse(404, "NoSuchUpload")
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if err := errors.Join(c.(*net.TCPConn).SetLinger(0), c.Close()); err != nil {
			t.Error(err)
		}
	}
	wants(t, ask(t, s, s3store.Options{}), store.ErrNotFound)
}

// What can't be stored is refused before its first byte.
func TestTooLargeSendsNothing(t *testing.T) {
	s := &service{}
	wants(t, ask(t, s, s3store.Options{MaxLength: 9}), store.ErrTooLarge)
	if len(s.seen) != 0 {
		t.Errorf("%d requests were made", len(s.seen))
	}
}

// A web server may take anything.
func TestPutToAWebServer(t *testing.T) {
	for name, contentType := range map[string]string{"a page": "text/html", "no ETag": "text/plain"} {
		t.Run(name, func(t *testing.T) {
			hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", contentType)
				_, _ = io.WriteString(w, "fine")
			}))
			defer hs.Close()
			st, err := s3store.Open("bucket", "", newMemory(t), &s3store.Options{Endpoint: hs.URL, Region: "here"})
			check(t, err)
			defer func() { check(t, st.Close()) }()
			_, err = st.Put(t.Context(), store.Spec{Name: "x", Length: 4}, strings.NewReader("text"), store.Sum{})
			wants(t, err, store.ErrUnsupported)
		})
	}
}

func TestAnswersThatAreNotS3s(t *testing.T) {
	body := func(status int, contentType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	for name, c := range map[string]struct {
		request   string
		answer    http.HandlerFunc
		want      error
		transient bool
	}{
		"a web page":                     {"POST ?uploads", body(200, "text/html", "<html>"), store.ErrUnsupported, false},
		"a web page that isn't found":    {"POST ?uploads", body(404, "text/html", "<html>"), store.ErrUnsupported, false},
		"other XML":                      {"POST ?uploads", body(200, "application/xml", "<other/>"), store.ErrUnsupported, false},
		"no id":                          {"POST ?uploads", body(200, "application/xml", "<InitiateMultipartUploadResult/>"), store.ErrUnsupported, false},
		"a list cut off":                 {"GET", body(200, "application/xml", "<ListPartsResult><Part>"), nil, true},
		"a completion cut off":           {"POST", body(200, "application/xml", "<CompleteMultipartUploadResult><Bu"), nil, true},
		"success with an error in it":    {"POST", body(200, "application/xml", "<Error><Code>InternalError</Code></Error>"), nil, true},
		"success with a refusal in it":   {"POST", body(200, "application/xml", "<Error><Code>AccessDenied</Code></Error>"), store.ErrDenied, false},
		"no part of those that are sent": {"GET", body(200, "application/xml", "<ListPartsResult/>"), store.ErrIncomplete, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := ask(t, &service{request: c.request, answer: c.answer}, s3store.Options{})
			if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("error is %v, want %v", err, c.want)
			}
			if transient := (*store.TransientError)(nil); errors.As(err, &transient) != c.transient {
				t.Errorf("transient: %v", err)
			}
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	s := &service{request: "none"}
	err := ask(t, s, s3store.Options{SignPayload: true, Object: s3store.ObjectOptions{
		CacheControl: "no-cache", StorageClass: "STANDARD_IA", ACL: "private", SSE: "AES256",
		Tags: map[string]string{"a": "b"},
	}})
	if !errors.Is(err, store.ErrNotFound) { // there is no object in the end
		t.Fatal(err)
	}
	create, part, complete := s.seen[1].Header, s.seen[2].Header, s.seen[4].Header // after a look whether it exists
	for name, c := range map[string]struct{ got, want string }{
		"content type":  {create.Get("Content-Type"), "text/html; charset=utf-8"},
		"cache control": {create.Get("Cache-Control"), "no-cache"},
		"storage class": {create.Get("X-Amz-Storage-Class"), "STANDARD_IA"},
		"ACL":           {create.Get("X-Amz-Acl"), "private"},
		"encryption":    {create.Get("X-Amz-Server-Side-Encryption"), "AES256"},
		"tags":          {create.Get("X-Amz-Tagging"), "a=b"},
		"checksum":      {create.Get("X-Amz-Checksum-Algorithm") + create.Get("X-Amz-Checksum-Type"), "CRC32CFULL_OBJECT"},
		"signature":     {part.Get("X-Amz-Content-Sha256"), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"},
		"trailer":       {part.Get("X-Amz-Trailer"), "x-amz-checksum-crc32c"},
		"no replacing":  {complete.Get("If-None-Match"), "*"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", name, c.got, c.want)
		}
	}
}

func TestContentType(t *testing.T) {
	pdf := []byte("%PDF-1.7 and so on")
	for name, c := range map[string]struct {
		spec store.Spec
		opts s3store.ObjectOptions
		want string
	}{
		"by extension":   {store.Spec{Name: "x.html", Head: pdf}, s3store.ObjectOptions{}, "text/html; charset=utf-8"},
		"by first bytes": {store.Spec{Name: "x", Head: pdf}, s3store.ObjectOptions{}, "application/pdf"},
		"by option":      {store.Spec{Name: "x.html", Head: pdf}, s3store.ObjectOptions{ContentType: "text/x-y"}, "text/x-y"},
		"by metadata":    {store.Spec{Name: "x.html", Metadata: map[string]string{"filetype": "image/png"}}, s3store.ObjectOptions{}, "image/png"},
		"unknown":        {store.Spec{Name: "x"}, s3store.ObjectOptions{}, "application/octet-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			hs := httptest.NewServer(s)
			defer hs.Close()
			st, err := s3store.Open("bucket", "", newMemory(t), &s3store.Options{Endpoint: hs.URL, Region: "here", Object: c.opts})
			check(t, err)
			defer func() { check(t, st.Close()) }()
			_, err = st.Put(t.Context(), c.spec, strings.NewReader(""), store.Sum{})
			check(t, err)
			c.spec.Length = 10
			_, _, err = st.Create(t.Context(), c.spec)
			check(t, err)
			for _, r := range s.seen {
				if got := r.Header.Get("Content-Type"); got != c.want {
					t.Errorf("%s: content type %q, want %q", r.Method, got, c.want)
				}
			}
		})
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for name, opts := range map[string]s3store.Options{
		"endpoint without a scheme": {Endpoint: "127.0.0.1:9000"},
		"endpoint with a path":      {Endpoint: "http://127.0.0.1:9000/files"},
		"one part":                  {MaxParts: 1},
		"encryption":                {Object: s3store.ObjectOptions{SSE: "rot13"}},
		"tags":                      {Object: s3store.ObjectOptions{Tags: map[string]string{"": "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s3store.Open("bucket", "", newMemory(t), &opts)
			wants(t, err, store.ErrInvalid)
		})
	}
}
