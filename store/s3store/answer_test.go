package s3store_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/s3store"
)

// A mutedTransport answers with a success that says nothing.
type mutedTransport struct{}

func (mutedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: silence{r.Context()}, Request: r}, nil
}

type silence struct{ ctx context.Context }

func (s silence) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (silence) Close() error { return nil }

func TestAnswerStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, _, err := over(t, nil, mutedTransport{}).Create(t.Context(), store.Spec{Name: "x", Length: 10})
		isTransient(t, err)
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

func isTransient(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*store.TransientError](err); !ok {
		t.Errorf("the error is %v, and not a passing one", err)
	}
}

// A slowReader gives its bytes once they are let go.
type slowReader struct {
	begun, release chan struct{}
	io.Reader
}

func (r *slowReader) Read(p []byte) (int, error) {
	close(r.begun)
	<-r.release
	return r.Reader.Read(p)
}

// net/http may close a body that it reads (issue 49621). One that is signed by chunks
// doesn't bear that.
func TestSignedPartIsGivenUp(t *testing.T) {
	content := &slowReader{make(chan struct{}), make(chan struct{}), strings.NewReader("0123456789")}
	read := make(chan error, 1)
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodPut {
			return answering{&service{}}.RoundTrip(r)
		}
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			read <- err
		}()
		<-content.begun
		err := r.Body.Close()
		close(content.release)
		return nil, errors.Join(errors.New("given up"), err)
	})
	st, err := s3store.Open("bucket", "", newMemory(t), &s3store.Options{
		Endpoint: "http://there", Region: "here", Transport: transport, SignPayload: true,
		Credentials: s3store.Credentials{AccessKey: "key", SecretKey: "secret"},
	})
	check(t, err)
	defer func() { check(t, st.Close()) }()
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 10})
	check(t, err)
	_, err = u.Write(t.Context(), 0, content, 10)
	isTransient(t, err)
	if err := <-read; err == nil {
		t.Error("the body was whole after its Close")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Several requests are told at once that their credentials have expired, and there are
// others by then.
func TestCredentialsAreRenewedForAll(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials")
	renew := func(token string) {
		text := "[default]\naws_access_key_id=key\naws_secret_access_key=secret\naws_session_token=" + token + "\n"
		check(t, os.WriteFile(file, []byte(text), 0o600))
	}
	renew("first")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	var both sync.WaitGroup
	both.Add(2)
	transport := roundTrip(func(r *http.Request) (*http.Response, error) {
		s := &service{}
		if r.Method == http.MethodPut && r.Header.Get("X-Amz-Security-Token") == "first" {
			both.Done()
			both.Wait()
			renew("second")
			s = &service{request: "PUT", answer: refuse(http.StatusBadRequest, "ExpiredToken")}
		}
		return closing(r, answering{s})
	})
	st, err := s3store.Open("bucket", "", newMemory(t), &s3store.Options{Endpoint: "http://there", Region: "here", Transport: transport})
	check(t, err)
	defer func() { check(t, st.Close()) }()
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 10})
	check(t, err)
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			_, err := u.Write(t.Context(), 0, strings.NewReader("0123456789"), 10)
			isTransient(t, err)
		})
	}
	writers.Wait()
}

// closing is for a service without a network, which leaves bodies open.
func closing(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	defer func() {
		if r.Body != nil {
			_ = r.Body.Close()
		}
	}()
	return next.RoundTrip(r)
}

// Why an object's connection broke is asked by beginning a multipart upload, of which
// nothing may stay, and which another permission ends.
func TestQuestionIsWithdrawn(t *testing.T) {
	for name, refused := range map[string]http.HandlerFunc{
		"at the second time": refuse(http.StatusInternalServerError, "InternalError"),
		"never":              refuse(http.StatusForbidden, "AccessDenied"),
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{request: "DELETE"}
			removals := 0
			s.answer = func(w http.ResponseWriter, r *http.Request) {
				if removals++; removals == 1 || name == "never" {
					refused(w, r)
				}
			}
			st := over(t, nil, roundTrip(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodPut {
					return nil, errors.Join(errors.New("connection reset"), r.Body.Close())
				}
				return closing(r, answering{s})
			}))
			_, err := st.Put(t.Context(), store.Spec{Name: "x", Length: 4}, strings.NewReader("text"), store.Sum{})
			isTransient(t, err)
			if errors.Is(err, store.ErrDenied) || (name != "never" && removals < 2) {
				t.Errorf("after %d removals the error is %v", removals, err)
			}
		})
	}
}

func TestListIsCut(t *testing.T) {
	s := &service{request: "GET", answer: func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>"+
			"<Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>")
	}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range over(t, s, nil).Objects(ctx) {
		cancel()
		last = err
	}
	wants(t, last, context.Canceled)
}
