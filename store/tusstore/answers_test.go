package tusstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/tusstore"
)

// answers is a server that takes uploads of 10 bytes at a signed URL, and answers
// one method as told, which is how servers lie.
func answers(t *testing.T, method string, answer http.HandlerFunc) *tusstore.Store {
	t.Helper()
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Tus-Resumable", "1.0.0")
		switch {
		case r.Method == method:
			answer(w, r)
		case r.Method == "POST":
			w.Header().Set("Location", "/files/1?grant=hidden")
			w.WriteHeader(http.StatusCreated)
		default:
			w.Header().Set("Upload-Offset", "0")
			w.Header().Set("Upload-Length", "10")
		}
	}))
	t.Cleanup(hs.Close)
	return open(t, hs.URL+"/files/?grant=hidden", nil)
}

// call makes the call that sends the method.
func call(t *testing.T, st *tusstore.Store, method string) (int64, error) {
	t.Helper()
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 10})
	if method == "POST" || err != nil {
		return 0, err
	}
	switch method {
	case "HEAD":
		_, err = u.Info(t.Context())
	case "DELETE":
		err = u.Abort(t.Context())
	case "PATCH":
		return u.Write(t.Context(), 0, strings.NewReader("0123456789"), 10)
	}
	return 0, err
}

func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		status    int
		want      error
		transient bool
	}{
		{400, store.ErrInvalid, false},
		{431, store.ErrInvalid, false},
		{401, store.ErrDenied, false},
		{403, store.ErrDenied, false},
		{404, store.ErrNotFound, false},
		{405, store.ErrUnsupported, false},
		{408, nil, true},
		{410, store.ErrGone, false},
		{412, store.ErrUnsupported, false},
		{413, store.ErrTooLarge, false},
		{415, store.ErrUnsupported, false},
		{423, nil, true},
		{425, nil, true},
		{429, store.ErrRateLimited, true},
		{460, store.ErrChecksum, false},
		{500, nil, true},
		{501, store.ErrUnsupported, false},
		{502, nil, true},
		{503, nil, true},
		{504, nil, true},
		{507, store.ErrNoSpace, true},
		{301, store.ErrUnsupported, false},
		{302, store.ErrUnsupported, false},
		{303, store.ErrUnsupported, false},
	} {
		for _, method := range []string{"POST", "HEAD", "PATCH", "DELETE"} {
			t.Run(method+" "+http.StatusText(c.status), func(t *testing.T) {
				st := answers(t, method, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Retry-After", "7")
					w.Header().Set("Content-Type", protocol.ProblemType)
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, `{"detail":"what went\u001b[31m wrong"}`)
				})
				_, err := call(t, st, method)
				if method == "DELETE" && (c.status == 404 || c.status == 410) {
					check(t, err)
					return
				}
				if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
					t.Fatalf("error is %v, want %v", err, c.want)
				}
				if transient := (*store.TransientError)(nil); errors.As(err, &transient) != c.transient {
					t.Errorf("transient: %v", err)
				} else if c.transient && transient.RetryAfter != 7*time.Second {
					t.Errorf("RetryAfter is %v", transient.RetryAfter)
				}
				if c.status >= 400 && method != "HEAD" && !strings.Contains(err.Error(), "what went[31m wrong") {
					t.Errorf("error doesn't show the detail, without its escape: %q", err)
				}
			})
		}
	}
}

// A server of ours says by its code what its status leaves open. Where the code
// is none of its own, the status says it.
func TestCodes(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   error
	}{
		{413, "INVALID_FILE", store.ErrTooLarge},
		{415, "INVALID_FILE", store.ErrRefused},
		{422, "INVALID_FILE", store.ErrRefused},
		{403, "INVALID_FILE", store.ErrRefused},
		{422, "MALWARE", store.ErrInvalid},
		{403, "VALIDATION_ERROR", store.ErrInvalid},
		{400, "INVALID_TOKEN", store.ErrDenied},
		{409, "GRANT_USED", store.ErrTaken},
		{415, "UNSUPPORTED_MEDIA_TYPE", store.ErrUnsupported},
	} {
		for _, method := range []string{"POST", "PATCH"} {
			t.Run(fmt.Sprintf("%s %d %s", method, c.status, c.code), func(t *testing.T) {
				st := answers(t, method, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", protocol.ProblemType)
					w.WriteHeader(c.status)
					_, _ = fmt.Fprintf(w, `{"code":%q,"detail":"what went wrong"}`, c.code)
				})
				_, err := call(t, st, method)
				if transient := (*store.TransientError)(nil); !errors.Is(err, c.want) || errors.As(err, &transient) {
					t.Errorf("error is %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestServersThatLie(t *testing.T) {
	header := func(status int, pairs ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			for i := 0; i < len(pairs); i += 2 {
				w.Header()[pairs[i]] = nil
				if pairs[i+1] != "" {
					w.Header().Set(pairs[i], pairs[i+1])
				}
			}
			w.WriteHeader(status)
		}
	}
	for name, c := range map[string]struct {
		method string
		answer http.HandlerFunc
		want   error
	}{
		"create without Location":            {"POST", header(201), store.ErrUnsupported},
		"create at a file URL":               {"POST", header(201, "Location", "file:///etc/passwd"), store.ErrUnsupported},
		"create with a broken Location":      {"POST", header(201, "Location", "http://a b/%zz"), store.ErrUnsupported},
		"create answered 200":                {"POST", header(200, "Location", "/files/1"), store.ErrUnsupported},
		"create by another protocol":         {"POST", header(201, "Location", "/files/1", "Tus-Resumable", ""), store.ErrUnsupported},
		"no such page":                       {"POST", header(404, "Tus-Resumable", "", "Content-Type", "text/html"), store.ErrUnsupported},
		"head by another protocol":           {"HEAD", header(200, "Upload-Offset", "0", "Tus-Resumable", ""), store.ErrUnsupported},
		"head without an offset":             {"HEAD", header(200, "Upload-Length", "10"), store.ErrUnsupported},
		"head with a negative offset":        {"HEAD", header(200, "Upload-Offset", "-1"), store.ErrUnsupported},
		"head beyond the length":             {"HEAD", header(200, "Upload-Offset", "11", "Upload-Length", "10"), store.ErrUnsupported},
		"head with a huge length":            {"HEAD", header(200, "Upload-Offset", "1", "Upload-Length", "99999999999999999999"), store.ErrUnsupported},
		"patch without an offset":            {"PATCH", header(204), store.ErrUnsupported},
		"patch beyond what was sent":         {"PATCH", header(204, "Upload-Offset", "11"), store.ErrUnsupported},
		"patch answered by an HTML page":     {"PATCH", header(200, "Tus-Resumable", "", "Content-Type", "text/html"), store.ErrUnsupported},
		"redirect to another host":           {"POST", header(308, "Location", "http://example.com/files/"), store.ErrUnsupported},
		"redirect loop":                      {"POST", header(307, "Location", "/files/"), store.ErrUnsupported},
		"redirect of a body to another host": {"PATCH", header(307, "Location", "http://example.com/files/"), store.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := call(t, answers(t, c.method, c.answer), c.method)
			if !errors.Is(err, c.want) || n != 0 {
				t.Errorf("%d bytes, error %v, want %v", n, err, c.want)
			}
		})
	}
}

func TestConflictTellsTheOffset(t *testing.T) {
	st := answers(t, "PATCH", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upload-Offset", "4")
		w.WriteHeader(http.StatusConflict)
	})
	_, err := call(t, st, "PATCH")
	if e := (*store.OffsetError)(nil); !errors.As(err, &e) || e.Expected != 4 || e.Provided != 0 {
		t.Errorf("error is %v", err)
	}
}

func TestPartialAcknowledgement(t *testing.T) {
	st := answers(t, "PATCH", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Upload-Offset", "4")
		w.WriteHeader(http.StatusNoContent)
	})
	n, err := call(t, st, "PATCH")
	if transient := (*store.TransientError)(nil); n != 4 || !errors.As(err, &transient) {
		t.Errorf("%d bytes, error %v", n, err)
	}
}

// A reader that would never end, of which a Read after Write has returned is a
// failure: its memory would be somebody else's by then.
type endless struct{ returned, late atomic.Bool }

func (r *endless) Read(p []byte) (int, error) {
	if r.returned.Load() {
		r.late.Store(true)
	}
	return len(p), nil
}

func TestEarlyAnswerWhileTheBodyGoesOn(t *testing.T) {
	st := answers(t, "PATCH", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: store.UnknownLength})
	if err != nil {
		t.Fatal(err)
	}
	r := &endless{}
	_, err = u.Write(t.Context(), 0, r, 1<<40)
	r.returned.Store(true)
	if transient := (*store.TransientError)(nil); !errors.As(err, &transient) {
		t.Errorf("error is %v", err)
	}
	check(t, st.Close())
	if r.late.Load() {
		t.Error("the reader was read after Write had returned")
	}
}

func TestTokenStaysWithItsOrigin(t *testing.T) {
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("Authorization") != "")
		w.Header().Set("Tus-Resumable", "1.0.0")
		w.Header().Set("Upload-Offset", "0")
	}))
	defer other.Close()
	var token string
	hs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = r.Header.Get("Authorization")
		w.Header().Set("Tus-Resumable", "1.0.0")
		w.Header().Set("Location", other.URL+"/files/1")
		w.WriteHeader(http.StatusCreated)
	}))
	defer hs.Close()
	st := open(t, hs.URL, &tusstore.Options{Token: "secret"})
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Info(t.Context()); err != nil {
		t.Fatal(err)
	}
	if token != "Bearer secret" || leaked.Load() {
		t.Errorf("endpoint got %q; another origin got it too: %v", token, leaked.Load())
	}
}

func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + ln.Addr().String() + "/files/"
	check(t, ln.Close())
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, c := range map[string]struct {
		url       string
		transient bool
	}{
		"nobody listens":         {nobody, true},
		"untrusted certificate":  {secure.URL, false},
		"TLS to a plain server":  {"https" + strings.TrimPrefix(plain.URL, "http"), false},
		"plain HTTP to a server": {plain.URL, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := open(t, c.url, nil).Create(t.Context(), store.Spec{Name: "x", Length: 1})
			if err == nil {
				t.Fatal("no error")
			}
			if transient := (*store.TransientError)(nil); errors.As(err, &transient) != c.transient {
				t.Errorf("transient is %v: %v", !c.transient, err)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, endpoint := range []string{"", "files", "ftp://host/", "http://", "http://user:se cret@host/", "http://host/#a"} {
		if _, err := tusstore.Open(endpoint, newMemory(t), nil); err == nil || strings.Contains(err.Error(), "cret") {
			t.Errorf("Open(%q): %v", endpoint, err)
		}
	}
}

// TestCutConnection cuts the way to a real server after so many bytes.
func TestCutConnection(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, cut := range map[string]int64{
		"in the headers": 50, "early in the body": 1000, "in the middle": 1 << 19, "near the end": 1<<20 - 10,
	} {
		t.Run(name, func(t *testing.T) {
			files, direct := startServer(t, nil)
			proxy := startProxy(t, strings.TrimSuffix(strings.TrimPrefix(direct, "http://"), "/files/"))
			st := open(t, "http://"+proxy.address()+"/files/", nil)
			u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: int64(len(data))})
			if err != nil {
				t.Fatal(err)
			}
			proxy.left.Store(cut)
			n, err := u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data)))
			if transient := (*store.TransientError)(nil); !errors.As(err, &transient) {
				t.Fatalf("error is %v", err)
			}
			proxy.left.Store(1 << 40)
			info, err := u.Info(t.Context())
			if err != nil || info.Offset < n || info.Offset > cut {
				t.Fatalf("offset is %d after %d acknowledged and %d passed on, error %v", info.Offset, n, cut, err)
			}
			rest := data[info.Offset:]
			if _, err := u.Write(t.Context(), info.Offset, bytes.NewReader(rest), int64(len(rest))); err != nil {
				t.Fatal(err)
			}
			if _, err := u.Finish(t.Context(), store.Sum{}); err != nil {
				t.Fatal(err)
			}
			compareStored(t, files, info.ID, data)
		})
	}
}
