package server_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server"
)

const (
	ours   = "https://app.example"
	theirs = "https://evil.example"
)

func TestPreflight(t *testing.T) {
	for name, test := range map[string]struct {
		origins []string
		origin  string
		method  string
		headers string
		want    string // Access-Control-Allow-Origin
	}{
		"by default":           {nil, ours, "PATCH", "tus-resumable", ""},
		"a configured origin":  {[]string{ours}, ours, "PATCH", "authorization,content-type,tus-resumable,upload-offset", ours},
		"the second of two":    {[]string{"http://localhost:3000", ours}, ours, "POST", "upload-length,upload-metadata", ours},
		"another origin":       {[]string{ours}, theirs, "PATCH", "tus-resumable", ""},
		"another scheme":       {[]string{ours}, "http://app.example", "PATCH", "", ""},
		"another port":         {[]string{ours}, ours + ":8443", "PATCH", "", ""},
		"a name that ends so":  {[]string{ours}, "https://notapp.example", "PATCH", "", ""},
		"no origin":            {[]string{ours}, "null", "PATCH", "", ""},
		"any origin":           {[]string{"*"}, theirs, "DELETE", "tus-resumable", "*"},
		"a method nobody has":  {[]string{ours}, ours, "TRACE", "", ""},
		"a header nobody has":  {[]string{ours}, ours, "POST", "cookie", ""},
		"resumable uploads":    {[]string{ours}, ours, "PATCH", "content-digest,upload-complete,upload-draft-interop-version", ours},
		"overriding the verb":  {[]string{ours}, ours, "POST", "x-http-method-override", ours},
		"reading a part":       {[]string{ours}, ours, "GET", "range", ours},
		"what uppy sends":      {[]string{ours}, ours, "POST", "x-request-id,x-requested-with", ours},
		"digests of an upload": {[]string{ours}, ours, "PUT", "repr-digest,want-repr-digest", ours},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &server.Options{CORSOrigins: test.origins})
			headers := []string{"Tus-Resumable", "", "Origin", test.origin, "Access-Control-Request-Method", test.method}
			if test.headers != "" {
				headers = append(headers, "Access-Control-Request-Headers", test.headers)
			}
			resp, _ := r.do("OPTIONS", "/files/x", nil, headers...)
			h := resp.Header
			if got := h.Get("Access-Control-Allow-Origin"); got != test.want {
				t.Fatalf("%s: allowed is %q, want %q", resp.Status, got, test.want)
			}
			if h.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("it allows credentials")
			}
			if test.origins != nil && (resp.StatusCode != http.StatusOK || !strings.Contains(h.Get("Vary"), "Origin")) {
				t.Errorf("%s, Vary %q", resp.Status, h.Get("Vary"))
			}
			if test.want != "" && (h.Get("Access-Control-Allow-Methods") != test.method || h.Get("Access-Control-Max-Age") == "") {
				t.Errorf("headers are %v", h)
			}
		})
	}
}

// A page of a configured origin sees all that the protocols answer, refusals too.
func TestExposedHeaders(t *testing.T) {
	r := newRig(t, &server.Options{CORSOrigins: []string{ours}})
	path := r.create("Origin", ours, "Upload-Length", "10", "Upload-Metadata", "filename YQ==")
	for _, request := range [][]string{
		{"OPTIONS", "/files/"},
		{"HEAD", path},
		{"HEAD", "/files/missing"},
		{"POST", "/files/", "Upload-Length", "1"},
		{"DELETE", path},
	} {
		resp, _ := r.do(request[0], request[1], nil, append([]string{"Origin", ours}, request[2:]...)...)
		if resp.Header.Get("Access-Control-Allow-Origin") != ours || !slices.Contains(resp.Header.Values("Vary"), "Origin") {
			t.Errorf("%v: headers are %v", request, resp.Header)
		}
		exposed := strings.Split(resp.Header.Get("Access-Control-Expose-Headers"), ", ")
		for name := range resp.Header {
			if strings.HasPrefix(name, "Tus-") || strings.HasPrefix(name, "Upload-") || name == "Location" {
				if !slices.Contains(exposed, name) {
					t.Errorf("%v: %s is not exposed", request, name)
				}
			}
		}
	}
	resp, _ := r.do("GET", "/api/v1/memory", nil, "Origin", ours)
	if resp.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("what the server tells of itself is for other sites too")
	}
}

// Browsers send some requests to other sites without asking first.
func TestOtherSites(t *testing.T) {
	post := []string{"Tus-Resumable", "", "Content-Type", "text/plain"}
	for name, test := range map[string]struct {
		origins []string
		headers []string
		refused bool
	}{
		"no browser":                     {nil, nil, false},
		"its own page":                   {nil, []string{"Sec-Fetch-Site", "same-origin", "Origin", "{self}"}, false},
		"its own page, older":            {nil, []string{"Origin", "{self}"}, false},
		"another page":                   {nil, []string{"Sec-Fetch-Site", "cross-site", "Origin", theirs}, true},
		"another page, older":            {nil, []string{"Origin", theirs}, true},
		"another name of the site":       {nil, []string{"Sec-Fetch-Site", "same-site", "Origin", theirs}, true},
		"a configured page":              {[]string{ours}, []string{"Sec-Fetch-Site", "cross-site", "Origin", ours}, false},
		"another than the configured":    {[]string{ours}, []string{"Sec-Fetch-Site", "cross-site", "Origin", theirs}, true},
		"any page":                       {[]string{"*"}, []string{"Sec-Fetch-Site", "cross-site", "Origin", theirs}, false},
		"configured after any other one": {[]string{"*", ours}, []string{"Origin", theirs}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &server.Options{CORSOrigins: test.origins})
			headers := slices.Clone(post)
			for _, h := range test.headers {
				headers = append(headers, strings.ReplaceAll(h, "{self}", r.url))
			}
			resp, text := r.do("POST", "/files/", strings.NewReader("x"), headers...)
			if refused := resp.StatusCode == http.StatusForbidden; refused != test.refused {
				t.Fatalf("%s: %s", resp.Status, text)
			}
			if test.refused {
				r.wantProblem(resp, text, http.StatusForbidden, protocol.CodeDenied)
				for info, err := range r.files.Unfinished(t.Context(), time.Time{}) {
					t.Errorf("it made %+v, %v", info, err)
				}
			}
		})
	}
}

func TestOriginMistakes(t *testing.T) {
	r := newRig(t, nil)
	for _, o := range []string{"", "app.example", "https://app.example/", "https://*.example", "https://App.example", "null", "https://a@b"} {
		if _, err := server.New(r.files, r.mem, &server.Options{CORSOrigins: []string{o}}); err == nil {
			t.Errorf("%q is an origin", o)
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	r := newRig(t, &server.Options{LoopbackOnly: true})
	for host, want := range map[string]int{
		"localhost": 204, "LOCALHOST:8080": 204, "127.0.0.1:1": 204, "127.1.2.3": 204, "[::1]:8080": 204, "[::1]": 204,
		"evil.example": 421, "evil.example:80": 421, "localhost.evil.example": 421, "192.0.2.1": 421, "127.0.0.1.evil.example": 421,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, r.url+"/files/", nil)
		r.must(err)
		req.Host = host
		resp, err := r.client.Do(req)
		r.must(err)
		r.must(resp.Body.Close())
		if resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", host, resp.Status, want)
		}
	}
}

// Behind a proxy that takes a part of the path away, Location is what the
// client has to ask for, and the page tells its URL.
func TestBehindProxy(t *testing.T) {
	r := newRig(t, &server.Options{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	headers := []string{
		"X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "files.example", "X-Forwarded-Prefix", "/app",
	}
	location := r.create(append(headers, "Upload-Length", "1")...)
	if !strings.HasPrefix(location, "/app/files/") {
		t.Errorf("Location is %s", location)
	}
	resp, text := r.do("HEAD", strings.TrimPrefix(location, "/app"), nil, headers...)
	if resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %s %s", resp.Status, text)
	}
	if _, text = r.do("GET", "/", nil, headers...); !strings.Contains(string(text), "https://files.example/app/files/") {
		t.Errorf("the page is %s", text)
	}
	// The site is what the client asked for, and not the proxy's name of us.
	resp, text = r.do("POST", "/files/", nil, append(headers, "Upload-Length", "1", "Origin", "https://files.example")...)
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("from its own page: %s %s", resp.Status, text)
	}
}
