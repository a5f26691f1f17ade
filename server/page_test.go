package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
)

const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

// visit asks as a browser does: without tus, with gzip where that is asked for only.
func (r *rig) visit(method, path string, headers ...string) (*http.Response, string) {
	r.Helper()
	r.client = &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, body := r.do(method, path, nil, append([]string{"Tus-Resumable", ""}, headers...)...)
	return resp, string(body)
}

func TestPage(t *testing.T) {
	r := newRig(t, nil)
	for name, c := range map[string]struct{ accept, mediaType, has string }{
		"a browser":                {browser, "text/html; charset=utf-8", `data-uploads="./files/" data-reading="false"`},
		"curl":                     {"*/*", "text/plain; charset=utf-8", r.url + "/files/"},
		"nobody in particular":     {"", "text/plain; charset=utf-8", r.url + "/files/"},
		"a program for JSON":       {"application/json", "text/plain; charset=utf-8", r.url + "/files/"},
		"who would rather have no": {"text/plain, text/html;q=0", "text/plain; charset=utf-8", r.url + "/files/"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, text := r.visit("GET", "/", "Accept", c.accept)
			if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != c.mediaType || !strings.Contains(text, c.has) {
				t.Errorf("%s, %s, %s", resp.Status, resp.Header.Get("Content-Type"), text)
			}
			if vary := strings.Join(resp.Header.Values("Vary"), ","); !strings.Contains(vary, "Accept") {
				t.Errorf("Vary is %q", vary)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("sniffing is allowed")
			}
		})
	}
	if resp, _ := r.visit("GET", "/other", "Accept", browser); resp.StatusCode != 404 {
		t.Errorf("another path: %s", resp.Status)
	}
}

// All that the page asks for at first is there, and of the type that it is taken for.
func TestPageAssets(t *testing.T) {
	r := newRig(t, nil)
	_, index := r.visit("GET", "/", "Accept", browser)
	types := map[string]string{"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
	links := regexp.MustCompile(`(?:src|href)="\.(/assets/[a-z]+\.([a-z]+))"`).FindAllStringSubmatch(index, -1)
	if len(links) != len(types) {
		t.Fatalf("the page has %d links: %s", len(links), index)
	}
	for _, link := range links {
		t.Run(link[1], func(t *testing.T) {
			checkAsset(t, r, link[1], types[link[2]])
		})
	}
	for _, path := range []string{"/assets/", "/assets/index.html", "/assets/../page.go", "/assets/none.js"} {
		if resp, _ := r.visit("GET", path); resp.StatusCode != 404 {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func checkAsset(t *testing.T, r *rig, path, mediaType string) {
	t.Helper()
	resp, plain := r.visit("GET", path)
	if resp.StatusCode != 200 || !strings.HasPrefix(resp.Header.Get("Content-Type"), mediaType) || resp.ContentLength != int64(len(plain)) {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	zipped, body := r.visit("GET", path, "Accept-Encoding", "br, gzip")
	if zipped.Header.Get("Content-Encoding") == "gzip" {
		decoder, err := gzip.NewReader(strings.NewReader(body))
		r.must(err)
		decoded, err := io.ReadAll(decoder)
		r.must(err)
		body = string(decoded)
	}
	if body != plain {
		t.Error("it differs when it is compressed")
	}
	if resp, _ := r.visit("GET", path, "Accept-Encoding", "gzip;q=0"); resp.Header.Get("Content-Encoding") != "" {
		t.Error("it is compressed for who doesn't want that")
	}
	again, _ := r.visit("GET", path, "If-None-Match", resp.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified || resp.Header.Get("ETag") == "" {
		t.Errorf("asked again: %s", again.Status)
	}
	if head, body := r.visit("HEAD", path); head.StatusCode != 200 || head.ContentLength != resp.ContentLength || body != "" {
		t.Errorf("HEAD: %s", head.Status)
	}
	if post, _ := r.visit("POST", path); post.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", post.Status)
	}
}

// Nothing but what is served here may run in the page, nor be asked by it, nor show it.
func TestPagePolicy(t *testing.T) {
	r := newRig(t, nil)
	resp, index := r.visit("GET", "/", "Accept", browser)
	policy := resp.Header.Get("Content-Security-Policy")
	for _, part := range []string{
		"default-src 'none'", "script-src 'self'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
	} {
		if !strings.Contains(policy, part) {
			t.Errorf("%s is missing in %s", part, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy is %s", policy)
	}
	if elsewhere := regexp.MustCompile(`(?:src|href|action)="(?:https?:)?//`).FindString(index); elsewhere != "" {
		t.Errorf("the page has %s", elsewhere)
	}
	for name, want := range map[string]string{
		"Cache-Control": "no-cache", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// Who opens the address that serve prints is brought to the page.
func TestUploadsInABrowser(t *testing.T) {
	for name, c := range map[string]struct{ base, path, to, uploads string }{
		"by default":  {"/files/", "/files/", "/", "./files/"},
		"deep":        {"/a/b/", "/a/b/", "/", "./a/b/"},
		"odd":         {"/a b/", "/a%20b/", "/", "./a b/"},
		"at the root": {"/", "/", "", "./"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &server.Options{BasePath: c.base})
			resp, text := r.visit("GET", c.path, "Accept", browser)
			if c.to != "" {
				if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != c.to {
					t.Fatalf("%s to %q", resp.Status, resp.Header.Get("Location"))
				}
				_, text = r.visit("GET", "/", "Accept", browser)
			}
			if !strings.Contains(text, `data-uploads="`+c.uploads+`"`) {
				t.Errorf("the page is %s", text)
			}
			resp, _ = r.visit("GET", c.path, "Accept", "*/*")
			if resp.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("for a program: %s", resp.Status)
			}
		})
	}
}

func TestPageBehindProxy(t *testing.T) {
	r := newRig(t, &server.Options{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	resp, _ := r.visit("GET", "/files/", "Accept", browser, "X-Forwarded-For", "192.0.2.1", "X-Forwarded-Prefix", "/app")
	if got := resp.Header.Get("Location"); got != "/app/" {
		t.Errorf("it leads to %q", got)
	}
}

// The page tells nobody anything, so it needs no token: it asks for one.
func TestPageWithTokens(t *testing.T) {
	_, options := newTokenFile(t, map[string]auth.Scopes{"alice": auth.Append})
	r := newRig(t, &server.Options{Auth: options, AllowReading: true})
	resp, text := r.visit("GET", "/", "Accept", browser)
	if resp.StatusCode != 200 || !strings.Contains(text, `data-reading="true"`) {
		t.Errorf("%s %s", resp.Status, text)
	}
	if resp, _ := r.visit("GET", "/assets/page.js"); resp.StatusCode != 200 {
		t.Errorf("its script: %s", resp.Status)
	}
}

// What the page weighs on its way to a browser.
func TestPageSize(t *testing.T) {
	r := newRig(t, nil)
	total := 0
	for _, path := range []string{"/", "/assets/page.js", "/assets/style.css", "/assets/icon.svg"} {
		resp, body := r.visit("GET", path, "Accept", browser, "Accept-Encoding", "gzip")
		if resp.StatusCode != 200 || bytes.Contains([]byte(body), []byte("sourceMappingURL")) {
			t.Errorf("%s: %s", path, resp.Status)
		}
		total += len(body)
	}
	t.Logf("%d bytes with gzip", total)
	if limit := 40 << 10; total > limit {
		t.Errorf("it weighs %d bytes, over %d", total, limit)
	}
}
