package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/s3store"
)

// over returns a store of a service, which it reaches through the transport where that
// isn't nil.
func over(t *testing.T, service http.Handler, transport http.RoundTripper) *s3store.Store {
	t.Helper()
	return overWith(t, service, s3store.Options{
		Transport: transport, Credentials: s3store.Credentials{AccessKey: "key", SecretKey: "secret"},
	})
}

// overWith is over with options of the caller's.
func overWith(t *testing.T, service http.Handler, opts s3store.Options) *s3store.Store {
	t.Helper()
	opts.Endpoint, opts.Region = "http://there", "here"
	if service != nil {
		hs := httptest.NewServer(service)
		t.Cleanup(hs.Close)
		opts.Endpoint = hs.URL
	}
	st, err := s3store.Open("bucket", "", newMemory(t), &opts)
	check(t, err)
	t.Cleanup(func() { check(t, st.Close()) })
	return st
}

// Who ends an upload while it begins never learns its id, so nobody else could abort it.
func TestCreateIsCut(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &service{request: "POST ?uploads"}
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		_, _ = io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>8</UploadId></InitiateMultipartUploadResult>")
	}
	_, _, err := over(t, s, nil).Create(ctx, store.Spec{Name: "x", Length: 10})
	wants(t, err, context.Canceled)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if r.Method == http.MethodDelete && r.URL.Query().Get("uploadId") == "8" {
			return
		}
	}
	t.Error("the upload stays")
}

// A part that S3 has got may arrive behind the Abort that follows.
func TestWholePartIsCut(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan struct{})
	s := &service{request: "PUT", answer: func(w http.ResponseWriter, _ *http.Request) {
		cancel()
		select {
		case <-returned:
			t.Error("Write has returned while the part may still arrive")
		case <-time.After(100 * time.Millisecond):
			w.Header().Set("ETag", `"1"`)
		}
	}}
	u, _, err := over(t, s, nil).Create(t.Context(), store.Spec{Name: "x", Length: 10})
	check(t, err)
	_, err = u.Write(ctx, 0, strings.NewReader("0123456789"), 10)
	close(returned)
	wants(t, err, context.Canceled)
}

// A lateReader gives its second half once that is wanted no more.
type lateReader struct {
	halves []io.Reader
	late   <-chan struct{}
}

func (r *lateReader) Read(p []byte) (int, error) {
	n, err := r.halves[0].Read(p)
	if err == io.EOF && len(r.halves) > 1 {
		<-r.late
		r.halves = r.halves[1:]
		return r.Read(p)
	}
	return n, err
}

func TestHalfAPartIsCut(t *testing.T) {
	t.Run("with a fixed key", func(t *testing.T) {
		halfAPartIsCut(t, s3store.Credentials{AccessKey: "key", SecretKey: "secret"})
	})
	t.Run("with a key that each request asks for", func(t *testing.T) {
		keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"AccessKeyId": "key", "SecretAccessKey": "secret", "Expiration": "2001-01-01T00:00:00Z"}`)
		}))
		t.Cleanup(keys.Close)
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
			t.Setenv(name, "")
		}
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
		t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", keys.URL)
		halfAPartIsCut(t, s3store.Credentials{})
	})
}

func halfAPartIsCut(t *testing.T, creds s3store.Credentials) {
	ctx, cancel := context.WithCancel(t.Context())
	half := bytes.Repeat([]byte("x"), 1<<20)
	var (
		late = make(chan struct{})
		got  int64
	)
	s := &service{}
	st := overWith(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPut {
			s.ServeHTTP(w, r)
			return
		}
		defer close(late)
		n, err := io.CopyN(io.Discard, r.Body, 1<<19)
		cancel()
		ended := time.Now()
		rest, restErr := io.Copy(io.Discard, r.Body)
		if took := time.Since(ended); took > 3*time.Second { // an answer is waited for for 5 s
			t.Errorf("the connection was cut after %v", took)
		}
		if got = n + rest; err != nil || restErr == nil {
			t.Errorf("the body ended with %v and %v", err, restErr)
		}
	}), s3store.Options{Credentials: creds})
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 2 << 20})
	check(t, err)
	_, err = u.Write(ctx, 0, &lateReader{[]io.Reader{bytes.NewReader(half), bytes.NewReader(half)}, late}, 2<<20)
	wants(t, err, context.Canceled)
	if <-late; got >= 2<<20 {
		t.Errorf("%d bytes were sent", got)
	}
}

// A stuckTransport never answers.
type stuckTransport struct{ begun chan struct{} }

func (s stuckTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	close(s.begun)
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestCutIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := stuckTransport{make(chan struct{})}
		st := over(t, nil, stuck)
		ctx, cancel := context.WithCancel(t.Context())
		var ended time.Time
		go func() {
			<-stuck.begun
			ended = time.Now()
			cancel()
		}()
		_, _, err := st.Create(ctx, store.Spec{Name: "x", Length: 10})
		wants(t, err, context.Canceled)
		if took := time.Since(ended); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A part that S3 was at when its upload was aborted brings it back.
func TestPartsSurviveAbort(t *testing.T) {
	for name, survives := range map[string]int{"once": 1, "for ever": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			aborts := 0
			st := over(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					aborts++
				}
				if s.ServeHTTP(w, r); aborts <= survives {
					s.aborted = false
				}
			}), nil)
			u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 10})
			check(t, err)
			err = u.Abort(t.Context())
			var transient *store.TransientError
			if gone := survives == 1; gone != (err == nil) || gone && aborts != 2 {
				t.Errorf("after %d aborts the error is %v", aborts, err)
			} else if !gone && !errors.As(err, &transient) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// A hastyTransport closes a body that it still writes, as net/http does with one it gave
// up (issue 49621).
type hastyTransport struct {
	to    *io.PipeWriter  // for the bodies of PUT
	begun <-chan struct{} // that is read
	next  http.RoundTripper
}

func (h hastyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut {
		return h.next.RoundTrip(r)
	}
	go func() { _, _ = r.Body.(io.WriterTo).WriteTo(h.to) }()
	<-h.begun
	return nil, errors.Join(errors.New("given up"), r.Body.Close())
}

// answering is a service without a network.
type answering struct{ service http.Handler }

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	a.service.ServeHTTP(w, r)
	return w.Result(), nil
}

// What a reader lends is nobody's any more once Write has returned.
func TestLentPartIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read, write := io.Pipe()
		begun := make(chan struct{})
		st := over(t, nil, hastyTransport{write, begun, answering{&service{}}})
		u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 1 << 20})
		check(t, err)
		returned := make(chan struct{})
		go func() {
			_, _ = u.Write(t.Context(), 0, bytes.NewBuffer(make([]byte, 1<<20)), 1<<20)
			close(returned)
		}()
		_, err = io.ReadFull(read, make([]byte, 1<<10)) // some of the first bytes that are lent
		check(t, err)
		close(begun)
		time.Sleep(time.Minute) // also for a pause before another try
		select {
		case <-returned:
			t.Error("Write has returned while what was lent is written")
		default:
		}
		check(t, read.CloseWithError(io.ErrClosedPipe))
		<-returned
	})
}
