package hook_test

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/server/hook"
)

// replies are what hooks may answer to pre-create and pre-finish alike, and what
// the client then gets.
var replies = map[string]struct {
	status int
	body   string
	want   int
	code   string
	detail string
}{
	"nothing":            {200, "", 201, "", ""},
	"no content":         {204, "", 201, "", ""},
	"empty object":       {200, " {}\n", 201, "", ""},
	"refuse":             {200, `{"refuse": {"status": 422, "code": "MALWARE", "message": "Eicar found"}}`, 422, "MALWARE", "Eicar found"},
	"refuse with no say": {200, `{"refuse": {}}`, 403, "INVALID_FILE", "the upload was refused"},
	"refuse by 503":      {200, `{"refuse": {"status": 503, "message": "come back"}}`, 503, "INVALID_FILE", "come back"},
	"refuse in lines":    {200, `{"refuse": {"message": "a\r\nSet-Cookie: x\u0000\u001b[31m"}}`, 403, "INVALID_FILE", "a  Set-Cookie: x  [31m"},
	"refuse at length":   {200, `{"refuse": {"message": "` + strings.Repeat("é", 600) + `"}}`, 403, "INVALID_FILE", strings.Repeat("é", 512)},
	"refuse by 200":      {200, `{"refuse": {"status": 200}}`, 503, "UNAVAILABLE", ""},
	"refuse by 600":      {200, `{"refuse": {"status": 600}}`, 503, "UNAVAILABLE", ""},
	"bad code":           {200, `{"refuse": {"code": "a b"}}`, 503, "UNAVAILABLE", ""},
	"slip of the pen":    {200, `{"reject": {"status": 422}}`, 503, "UNAVAILABLE", ""},
	"no JSON":            {200, `yes`, 503, "UNAVAILABLE", ""},
	"two objects":        {200, `{} {"refuse": {}}`, 503, "UNAVAILABLE", ""},
	"array":              {200, `[]`, 503, "UNAVAILABLE", ""},
	"too long":           {200, `{}` + strings.Repeat(" ", 64<<10), 503, "UNAVAILABLE", ""},
	"not found":          {404, ``, 503, "UNAVAILABLE", ""},
	"refusing status":    {422, `{"refuse": {"status": 422}}`, 503, "UNAVAILABLE", ""},
	"server error":       {500, ``, 503, "UNAVAILABLE", ""},
}

func TestRepliesToPreCreate(t *testing.T) {
	for name, test := range replies {
		t.Run(name, func(t *testing.T) {
			rec := newReceiver(t, func(hook.Message) (int, string) { return test.status, test.body })
			r := newRig(t, signed(t, hook.PreCreate), rec.URL)
			a := r.create("5", nil)
			wantAnswer(t, a, test.want, test.code, test.detail)
			if a.status == http.StatusCreated {
				r.wantStored(1)
			} else {
				r.wantStored(0)
			}
		})
	}
}

// Whatever a hook answers, only a refusal discards the bytes.
func TestRepliesToPreFinish(t *testing.T) {
	for name, test := range replies {
		t.Run(name, func(t *testing.T) {
			var mended atomic.Bool
			rec := newReceiver(t, func(m hook.Message) (int, string) {
				content, err := os.ReadFile(m.Upload.Location)
				if err != nil || string(content) != "hello" {
					t.Errorf("the hook reads %q, %v", content, err)
				}
				if mended.Load() {
					return 204, ""
				}
				return test.status, test.body
			})
			r := newRig(t, signed(t, hook.PreFinish), rec.URL)
			path := r.create("5", nil).header.Get("Location")
			a := r.patch(path, "0", "hello")
			if test.want == http.StatusCreated {
				wantAnswer(t, a, http.StatusNoContent, "", "")
				return
			}
			wantAnswer(t, a, test.want, test.code, test.detail)
			mended.Store(true)
			head := r.do("HEAD", path, nil)
			if test.code != "UNAVAILABLE" {
				r.wantStored(0)
				wantAnswer(t, head, http.StatusNotFound, "", "")
				return
			}
			if head.status != http.StatusOK || head.header.Get("Upload-Offset") != "5" {
				t.Errorf("HEAD then is %d, offset %s", head.status, head.header.Get("Upload-Offset"))
			}
		})
	}
}

func wantAnswer(t *testing.T, a answer, status int, code, detail string) {
	t.Helper()
	if a.status != status || a.problem.Code != code || detail != "" && a.problem.Detail != detail {
		t.Errorf("answer is %d %+v, want %d %s %q", a.status, a.problem, status, code, detail)
	}
	if code == "UNAVAILABLE" && a.header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
}

func TestPreCreateChanges(t *testing.T) {
	for name, test := range map[string]struct {
		reply string
		want  int
		wire  map[string]string // metadata by HEAD
	}{
		"nothing": {`{}`, 201, map[string]string{"filename": "a.txt", "by": "me"}},
		"name":    {`{"name": "b.txt"}`, 201, map[string]string{"filename": "b.txt", "by": "me"}},
		"metadata": {
			`{"metadata": {"by": null, "for": "you", "filename": "c.txt"}}`, 201,
			map[string]string{"filename": "c.txt", "for": "you"},
		},
		"name over metadata": {`{"name": "d.txt", "metadata": {"filename": "c.txt"}}`, 201, map[string]string{"filename": "d.txt", "by": "me"}},
		"any bytes":          {`{"name": "a\r\nb"}`, 201, map[string]string{"filename": "a\r\nb", "by": "me"}},
		"key with a space":   {`{"metadata": {"streamflow owner": "root"}}`, 503, nil},
		"key with a comma":   {`{"metadata": {"a,b": "c"}}`, 503, nil},
		"key of two lines":   {`{"metadata": {"a\nb": "c"}}`, 503, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rec := newReceiver(t, func(m hook.Message) (int, string) {
				if m.Event == hook.PreCreate {
					return 200, test.reply
				}
				return 204, ""
			})
			r := newRig(t, signed(t, hook.PreCreate, hook.PostCreate), rec.URL)
			a := r.create("5", map[string]string{"filename": "a.txt", "by": "me"})
			if a.status != test.want {
				t.Fatalf("answer is %d %+v", a.status, a.problem)
			}
			if test.wire == nil {
				r.wantStored(0)
				return
			}
			wire := r.do("HEAD", a.header.Get("Location"), nil).header.Get("Upload-Metadata")
			for key, value := range test.wire {
				if !strings.Contains(wire, key+" "+base64.StdEncoding.EncodeToString([]byte(value))) {
					t.Errorf("metadata is %s, want %v", wire, test.wire)
				}
			}
			if n := strings.Count(wire, ",") + 1; n != len(test.wire) {
				t.Errorf("metadata is %s, want %v", wire, test.wire)
			}
			r.eventually("post-create", func() bool { return rec.count(hook.PostCreate) == 1 })
			if m := rec.messages()[1]; m.Upload.Name != test.wire["filename"] {
				t.Errorf("then the name is %q", m.Upload.Name)
			}
		})
	}
}

// Several hooks are asked in turn, each with the changes of those before.
func TestHooksInTurn(t *testing.T) {
	first := newReceiver(t, func(hook.Message) (int, string) { return 200, `{"name": "b"}` })
	second := newReceiver(t, func(m hook.Message) (int, string) {
		return 200, `{"refuse": {"status": 409, "message": "` + m.Upload.Name + `"}}`
	})
	third := newReceiver(t, nil)
	r := newRig(t, signed(t, hook.PreCreate), first.URL, second.URL, third.URL)
	wantAnswer(t, r.create("5", map[string]string{"filename": "a"}), 409, "INVALID_FILE", "b")
	if n := len(third.messages()); n != 0 {
		t.Errorf("the third was asked %d times", n)
	}
}

func TestMessage(t *testing.T) {
	rec := newReceiver(t, nil)
	opts := signed(t, hook.PreCreate)
	opts.Headers = []string{"x-tenant", "X-Missing"}
	r := newRig(t, opts, rec.URL)
	r.create("5", map[string]string{"filename": "a\nb\"", "k": "\xff"}, "X-Tenant", "t1", "Authorization", "Bearer secret", "Cookie", "a=secret")
	m := rec.messages()[0]
	if m.Upload.Name != "a\nb\"" || *m.Upload.Length != 5 || m.Upload.ID != "" || m.Upload.Metadata["k"] != "\ufffd" {
		t.Errorf("upload is %+v", m.Upload)
	}
	if q := m.Request; q.Method != "POST" || q.Client != "127.0.0.1" || len(q.Headers) != 1 || q.Headers["X-Tenant"] != "t1" {
		t.Errorf("request is %+v", q)
	}
	r.do("POST", "/files/", nil, "Upload-Defer-Length", "1")
	if m := rec.messages()[1]; m.Upload.Length != nil || m.Upload.Metadata == nil {
		t.Errorf("upload is %+v", m.Upload)
	}
}

// Whom an upload belongs to is said at its end as at its beginning.
func TestMessageSaysTheOwner(t *testing.T) {
	rec := newReceiver(t, nil)
	r := newRig(t, signed(t, hook.PreCreate, hook.PostCreate, hook.PostTerminate), rec.URL)
	r.stop()
	r.auth = &auth.Options{}
	r.start()
	who := auth.Identity{Owner: "anna", Scopes: auth.Create}
	inside := r.http.Config.Handler
	r.http.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		inside.ServeHTTP(w, req.WithContext(auth.NewContext(req.Context(), who)))
	})
	path := r.create("5", nil).header.Get("Location")
	who = auth.Identity{Owner: "root", Scopes: auth.Admin}
	r.do("DELETE", path, nil)
	r.eventually("the end", func() bool { return rec.count(hook.PostTerminate) == 1 })
	for _, m := range rec.messages() {
		if _, shown := m.Upload.Metadata["streamflow owner"]; m.Upload.Owner != "anna" || shown {
			t.Errorf("%s: upload is %+v", m.Event, m.Upload)
		}
	}
}

// A redirect isn't followed, wherever it leads.
func TestRedirectIsRefused(t *testing.T) {
	called := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirecting := httptest.NewServer(http.RedirectHandler(other.URL, status))
		r := newRig(t, signed(t, hook.PreCreate), redirecting.URL)
		wantAnswer(t, r.create("5", nil), 503, "UNAVAILABLE", "")
		if !strings.Contains(r.log.String(), "redirects are not followed") {
			t.Errorf("the log is %s", r.log)
		}
		redirecting.Close()
	}
	if called {
		t.Error("a redirect was followed")
	}
}

func TestEndpointIsDown(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	r := newRig(t, signed(t, hook.PreCreate), strings.Replace(gone.URL, "http://", "http://user:password@", 1)+"/?key=password")
	wantAnswer(t, r.create("5", nil), 503, "UNAVAILABLE", "")
	if said := r.log.String(); !strings.Contains(said, "connection refused") || strings.Contains(said, "password") {
		t.Errorf("the log is %s", said)
	}
}

func TestTLSIsVerified(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("called") }))
	defer srv.Close()
	r := newRig(t, signed(t, hook.PreCreate), srv.URL)
	wantAnswer(t, r.create("5", nil), 503, "UNAVAILABLE", "")
	if !strings.Contains(r.log.String(), "certificate") {
		t.Errorf("the log is %s", r.log)
	}
}

func TestSlowEndpoint(t *testing.T) {
	release := make(chan struct{})
	rec := newReceiver(t, func(hook.Message) (int, string) { <-release; return 204, "" })
	defer close(release)
	opts := signed(t, hook.PreCreate)
	opts.Timeout = 20 * time.Millisecond
	r := newRig(t, opts, rec.URL)
	wantAnswer(t, r.create("5", nil), 503, "UNAVAILABLE", "")
}
