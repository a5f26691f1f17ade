package interop

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// A request is one line of the protocol, asked of every server. Its upload has
// 5 of 10 bytes; what is in braces in a path or a header is replaced by an
// upload of that kind.
type request struct {
	name, method, path string
	headers            []string
	body               string
	status             []int  // any of them
	offset             string // on the answer, where it matters
}

const octets = "application/offset+octet-stream"

func patch(offset string, more ...string) []string {
	return append([]string{"Content-Type", octets, "Upload-Offset", offset}, more...)
}

var requests = []request{
	{name: "HEAD", method: "HEAD", path: "{upload}", status: []int{200, 204}, offset: "5"},
	{name: "HEAD of an unknown upload", method: "HEAD", path: "/files/0123456789abcdef0123456789abcdef", status: []int{404, 410}},
	{name: "OPTIONS", method: "OPTIONS", path: "/files/", status: []int{200, 204}},
	{name: "another version", method: "HEAD", path: "{upload}", headers: []string{"Tus-Resumable", "0.2.2"}, status: []int{412}},
	{name: "POST without a length", method: "POST", path: "/files/", status: []int{400}},
	{name: "POST with a negative length", method: "POST", path: "/files/", headers: []string{"Upload-Length", "-1"}, status: []int{400}},
	{name: "POST with a length and a deferred one", method: "POST", path: "/files/", headers: []string{"Upload-Length", "1", "Upload-Defer-Length", "1"}, status: []int{400}},
	{name: "POST with another deferred length", method: "POST", path: "/files/", headers: []string{"Upload-Defer-Length", "2"}, status: []int{400}},
	{name: "POST of too much", method: "POST", path: "/files/", headers: []string{"Upload-Length", "68157441"}, status: []int{413}},
	{name: "POST with bad metadata", method: "POST", path: "/files/", headers: []string{"Upload-Length", "1", "Upload-Metadata", "a *"}, status: []int{400}},
	{name: "POST with its bytes", method: "POST", path: "/files/", headers: []string{"Upload-Length", "3", "Content-Type", octets}, body: "abc", status: []int{201}, offset: "3"},
	{name: "PATCH", method: "PATCH", path: "{upload}", headers: patch("5"), body: "567", status: []int{204}, offset: "8"},
	{name: "PATCH by override", method: "POST", path: "{upload}", headers: patch("5", "X-HTTP-Method-Override", "PATCH"), body: "567", status: []int{204}, offset: "8"},
	{name: "PATCH at another offset", method: "PATCH", path: "{upload}", headers: patch("4"), body: "4", status: []int{409}},
	{name: "PATCH at a negative offset", method: "PATCH", path: "{upload}", headers: patch("-1"), body: "4", status: []int{400}},
	{name: "PATCH without an offset", method: "PATCH", path: "{upload}", headers: []string{"Content-Type", octets}, body: "5", status: []int{400}},
	{name: "PATCH of another type", method: "PATCH", path: "{upload}", headers: []string{"Content-Type", "text/plain", "Upload-Offset", "5"}, body: "5", status: []int{415}},
	{name: "PATCH of an unknown upload", method: "PATCH", path: "/files/0123456789abcdef0123456789abcdef", headers: patch("0"), body: "0", status: []int{404, 410}},
	{name: "PATCH beyond the length", method: "PATCH", path: "{upload}", headers: patch("5"), body: "56789abc", status: []int{400, 413}},
	{name: "PATCH with the checksum of it", method: "PATCH", path: "{upload}", headers: patch("5", "Upload-Checksum", "sha1 ZkNSFxEyih4oLa9aXaQ5cOsRoIk="), body: "567", status: []int{204}, offset: "8"},
	{name: "PATCH with another checksum", method: "PATCH", path: "{upload}", headers: patch("5", "Upload-Checksum", "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="), body: "567", status: []int{460}},
	{name: "PATCH with an unknown checksum", method: "PATCH", path: "{upload}", headers: patch("5", "Upload-Checksum", "sha3 AAAA"), body: "567", status: []int{400}},
	{name: "DELETE", method: "DELETE", path: "{upload}", status: []int{204}},
	{name: "DELETE of an unknown upload", method: "DELETE", path: "/files/0123456789abcdef0123456789abcdef", status: []int{404, 410}},
	{name: "concatenation", method: "POST", path: "/files/", headers: []string{"Upload-Concat", "final;{part} {part}"}, status: []int{201}},
	{name: "concatenation of what is unfinished", method: "POST", path: "/files/", headers: []string{"Upload-Concat", "final;{half}"}, status: []int{400}},
	{name: "concatenation with a length", method: "POST", path: "/files/", headers: []string{"Upload-Concat", "final;{part}", "Upload-Length", "3"}, status: []int{400}},
	{name: "PATCH of a concatenation", method: "PATCH", path: "{final}", headers: patch("3"), body: "d", status: []int{403}},
}

// TestRequests asks the same of every server.
func TestRequests(t *testing.T) {
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, p)
			for _, r := range requests {
				t.Run(r.name, func(t *testing.T) {
					judge(t, "", p.name, r.name, (&asker{T: t, server: server}).check(r))
				})
			}
		})
	}
}

// An asker makes requests to a server, and uploads to ask about.
type asker struct {
	*testing.T
	server *server
}

func (a *asker) check(r request) error {
	a.Helper()
	var headers []string
	for _, h := range r.headers {
		filled, err := a.fill(h)
		if err != nil {
			return err
		}
		headers = append(headers, filled)
	}
	path, err := a.fill(r.path)
	if err != nil {
		return err
	}
	resp, text := a.do(r.method, path, r.body, headers...)
	if !slices.Contains(r.status, resp.StatusCode) {
		return fmt.Errorf("the answer is %s, want %v: %s", resp.Status, r.status, text)
	}
	if got := resp.Header.Get("Upload-Offset"); r.offset != "" && got != r.offset {
		return fmt.Errorf("the offset is %q, want %s", got, r.offset)
	}
	if r.path != "{upload}" || resp.StatusCode < http.StatusBadRequest {
		return nil
	}
	resp, _ = a.do("HEAD", path, "")
	if got := resp.Header.Get("Upload-Offset"); got != "5" {
		return fmt.Errorf("after the refusal the offset is %q, want 5", got)
	}
	return nil
}

// fill makes the uploads named in braces.
func (a *asker) fill(s string) (string, error) {
	for name, headers := range map[string][]string{
		"{upload}": {"Upload-Length", "10", "Content-Type", octets},
		"{part}":   {"Upload-Length", "5", "Content-Type", octets, "Upload-Concat", "partial"},
		"{half}":   {"Upload-Length", "10", "Content-Type", octets, "Upload-Concat", "partial"},
		"{final}":  {"Upload-Concat", "final;{part}"},
	} {
		if !strings.Contains(s, name) {
			continue
		}
		body := "01234"
		if name == "{final}" {
			part, err := a.fill("{part}")
			if err != nil {
				return "", err
			}
			headers, body = []string{"Upload-Concat", "final;" + part}, ""
		}
		resp, text := a.do("POST", "/files/", body, headers...)
		location, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || resp.StatusCode != http.StatusCreated {
			return "", fmt.Errorf("make %s: %s %s", name, resp.Status, text)
		}
		s = strings.ReplaceAll(s, name, location.Path)
	}
	return s, nil
}

func (a *asker) do(method, path, body string, headers ...string) (*http.Response, string) {
	a.Helper()
	req, err := http.NewRequestWithContext(a.Context(), method, "http://"+a.server.address()+path, strings.NewReader(body))
	if err != nil {
		a.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		a.Fatal(err)
	}
	return resp, string(text)
}
