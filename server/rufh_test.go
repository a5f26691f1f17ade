package server_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/rufh"
	"github.com/streamflow/streamflow/server"
)

func sha(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"
}

// rufh makes a request without Tus-Resumable.
func (r *rig) rufh(method, path string, body io.Reader, headers ...string) (*http.Response, []byte) {
	r.Helper()
	return r.do(method, path, body, append([]string{"Tus-Resumable", ""}, headers...)...)
}

// begin makes an upload by RUFH and returns its path.
func (r *rig) begin(data string, headers ...string) string {
	r.Helper()
	resp, text := r.rufh("POST", "/files/", strings.NewReader(data), append(headers, "Upload-Complete", "?0")...)
	if resp.StatusCode != http.StatusCreated {
		r.Fatalf("create: %s %s", resp.Status, text)
	}
	return resp.Header.Get("Location")
}

// append makes a PATCH of RUFH.
func (r *rig) append(path, offset, complete string, body io.Reader, headers ...string) (*http.Response, []byte) {
	r.Helper()
	return r.rufh("PATCH", path, body, append([]string{
		"Content-Type", rufh.ContentType, "Upload-Offset", offset, "Upload-Complete", complete,
	}, headers...)...)
}

// TestRUFHStatus is the table of what RUFH answers, each case on an upload of its
// own, of which 5 of 10 bytes are there.
func TestRUFHStatus(t *testing.T) { overStores(t, rufhStatus) }

func rufhStatus(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	const (
		part      = rufh.ContentType
		mismatch  = protocol.TypeMismatchingOffset
		length    = protocol.TypeInconsistentLength
		completed = protocol.TypeCompletedUpload
	)
	type headers []string
	type fields map[string]string
	limit := fields{"Upload-Limit": "max-size=1000"}
	five := fields{"Upload-Offset": "5", "Upload-Complete": "?0"}
	for name, c := range map[string]struct {
		method, path string // path "" is the upload's
		headers      headers
		body         io.Reader
		status       int
		code         string
		problem      string // its type
		want         fields
		after        string // what HEAD says then: offset and completeness; default "5 ?0"
	}{
		"head":                        {method: "HEAD", status: 204, want: fields{"Upload-Offset": "5", "Upload-Complete": "?0", "Upload-Length": "10", "Upload-Limit": "max-size=1000", "Cache-Control": "no-store"}},
		"head by version 6":           {method: "HEAD", headers: headers{"Upload-Draft-Interop-Version", "6"}, status: 204, want: five},
		"head of an unknown upload":   {method: "HEAD", path: "/files/0123456789abcdef0123456789abcdef", status: 404, want: fields{"Upload-Offset": ""}},
		"head of an expired upload":   {method: "HEAD", path: "{expired}", status: 410, want: fields{"Upload-Offset": ""}},
		"head of an unknown length":   {method: "HEAD", path: "{unbounded}", status: 204, want: fields{"Upload-Offset": "5", "Upload-Length": ""}},
		"head of a completed upload":  {method: "HEAD", path: "{completed}", status: 204, want: fields{"Upload-Offset": "10", "Upload-Complete": "?1", "Upload-Length": "10"}},
		"head of one of tus":          {method: "HEAD", path: "{tus}", status: 204, want: fields{"Upload-Offset": "3", "Upload-Complete": "?0", "Upload-Length": "6"}},
		"head of all":                 {method: "HEAD", path: "/files/", status: 405},
		"options":                     {method: "OPTIONS", path: "/files/", status: 204, want: fields{"Upload-Limit": "max-size=1000, max-age=3599", "Accept-Patch": part, "Tus-Version": "1.0.0"}},
		"delete":                      {method: "DELETE", status: 204, after: "gone"},
		"delete of an unknown upload": {method: "DELETE", path: "/files/0123456789abcdef0123456789abcdef", status: 404, code: "NOT_FOUND"},
		"delete of an expired upload": {method: "DELETE", path: "{expired}", status: 410, code: "GONE"},
		"delete of all":               {method: "DELETE", path: "/files/", status: 405, code: "METHOD_NOT_ALLOWED"},

		"create empty for later":             {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0"}, status: 201, want: fields{"Upload-Complete": "?0", "Upload-Offset": "0", "Upload-Limit": "max-size=1000, max-age=3599"}},
		"create empty by PUT":                {method: "PUT", path: "/files/a.txt", headers: headers{"Upload-Complete", "?0"}, status: 201, want: fields{"Upload-Complete": "?0"}},
		"create empty by PATCH":              {method: "PATCH", path: "/files/", headers: headers{"Upload-Complete", "?0"}, status: 201, want: fields{"Upload-Complete": "?0"}},
		"create by PATCH that doesn't say":   {method: "PATCH", path: "/files/", status: 400, code: "VALIDATION_ERROR"},
		"create empty and complete":          {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1"}, status: 201, want: fields{"Upload-Complete": "?1", "Upload-Offset": "0"}},
		"create of length 0 for later":       {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0", "Upload-Length", "0"}, status: 201, want: fields{"Upload-Complete": "?0"}},
		"create with the first bytes":        {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0", "Upload-Length", "10"}, body: strings.NewReader("01234"), status: 201, want: fields{"Upload-Complete": "?0", "Upload-Offset": "5"}},
		"create with all bytes for later":    {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0", "Upload-Length", "3"}, body: strings.NewReader("abc"), status: 201, want: fields{"Upload-Complete": "?0", "Upload-Offset": "3"}},
		"create complete":                    {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1"}, body: strings.NewReader("abc"), status: 201, want: fields{"Upload-Complete": "?1", "Upload-Offset": "3"}},
		"create complete in chunks":          {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1"}, body: chunked("abc"), status: 201, want: fields{"Upload-Complete": "?1", "Upload-Offset": "3"}},
		"create complete, both lengths":      {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Upload-Length", "3"}, body: strings.NewReader("abc"), status: 201, want: fields{"Upload-Complete": "?1"}},
		"create complete, another length":    {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Upload-Length", "4"}, body: strings.NewReader("abc"), status: 400, code: "VALIDATION_ERROR", problem: length},
		"create complete, less in chunks":    {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Upload-Length", "4"}, body: chunked("abc"), status: 400, code: "VALIDATION_ERROR", problem: length},
		"create beyond its length":           {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0", "Upload-Length", "2"}, body: chunked("abc"), status: 413, code: "INVALID_FILE"},
		"create too large":                   {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0", "Upload-Length", "1001"}, status: 413, code: "INVALID_FILE", want: limit},
		"create too large by its body":       {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1"}, body: strings.NewReader(strings.Repeat("x", 1001)), status: 413, code: "INVALID_FILE", want: limit},
		"create too large in chunks":         {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1"}, body: chunked(strings.Repeat("x", 1001)), status: 413, code: "INVALID_FILE", want: limit},
		"create with a length in text":       {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0", "Upload-Length", "ten"}, status: 201, want: fields{"Upload-Length": ""}},
		"create with a negative length":      {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?0", "Upload-Length", "-1"}, status: 201, want: fields{"Upload-Length": ""}},
		"create, completeness of a bad type": {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "0"}, body: strings.NewReader("abc"), status: 201, want: fields{"Upload-Complete": "?1"}},
		"create with a form":                 {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Content-Type", "multipart/form-data; boundary=x"}, body: strings.NewReader("--x--"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		"create with the rest of a file":     {method: "PUT", path: "/files/a.txt", headers: headers{"Content-Range", "bytes 2-4/5"}, body: strings.NewReader("abc"), status: 400, code: "VALIDATION_ERROR"},
		"create with its digest":             {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Content-Digest", sha("abc")}, body: strings.NewReader("abc"), status: 201},
		"create with another digest":         {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Content-Digest", sha("abd")}, body: strings.NewReader("abc"), status: 400, code: "CHECKSUM_MISMATCH"},
		"create with an unknown digest":      {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Content-Digest", "unixsum=:AAAA:"}, body: strings.NewReader("abc"), status: 201},
		"create with the digest of it all":   {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Repr-Digest", sha("abc")}, body: strings.NewReader("abc"), status: 201},
		"create with another of it all":      {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Repr-Digest", sha("abd")}, body: strings.NewReader("abc"), status: 400, code: "CHECKSUM_MISMATCH", want: fields{"Upload-Complete": "?1"}},
		"create with another CRC of it all":  {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Repr-Digest", "crc32c=:4waSgw==:"}, body: strings.NewReader("abc"), status: 400, code: "CHECKSUM_MISMATCH"},
		"create and want the digest":         {method: "POST", path: "/files/", headers: headers{"Upload-Complete", "?1", "Want-Repr-Digest", "sha-256=1"}, body: strings.NewReader("abc"), status: 201, want: fields{"Repr-Digest": sha("abc")}},
		"head and want the digest":           {method: "HEAD", path: "{completed}", headers: headers{"Want-Repr-Digest", "crc32c=1"}, status: 204, want: fields{"Repr-Digest": "crc32c=:KAwGng==:"}},

		"patch":                            {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, body: strings.NewReader("56"), status: 204, want: fields{"Upload-Offset": "7", "Upload-Complete": "?0", "Upload-Limit": "max-size=1000, max-age=3599"}, after: "7 ?0"},
		"patch in chunks":                  {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, body: chunked("56"), status: 204, want: fields{"Upload-Offset": "7"}, after: "7 ?0"},
		"patch of nothing":                 {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, status: 204, want: five},
		"patch of all, for later":          {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, body: strings.NewReader("56789"), status: 204, want: fields{"Upload-Offset": "10", "Upload-Complete": "?0"}, after: "10 ?0"},
		"patch to the end":                 {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?1"}, body: strings.NewReader("56789"), status: 201, want: fields{"Upload-Offset": "10", "Upload-Complete": "?1"}, after: "10 ?1"},
		"patch to the end in chunks":       {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?1"}, body: chunked("56789"), status: 201, want: fields{"Upload-Complete": "?1"}, after: "10 ?1"},
		"patch that ends too early":        {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?1"}, body: strings.NewReader("56"), status: 400, code: "VALIDATION_ERROR", problem: length, want: five},
		"patch that ends early in chunks":  {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?1"}, body: chunked("56"), status: 400, code: "VALIDATION_ERROR", problem: length, want: fields{"Upload-Offset": "7", "Upload-Complete": "?0"}, after: "7 ?0"},
		"patch with another length":        {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0", "Upload-Length", "11"}, body: strings.NewReader("5"), status: 400, code: "VALIDATION_ERROR", problem: length, want: five},
		"patch with the same length":       {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0", "Upload-Length", "10"}, body: strings.NewReader("5"), status: 204, after: "6 ?0"},
		"patch at another offset":          {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "4", "Upload-Complete", "?0"}, body: strings.NewReader("4"), status: 409, code: "OFFSET_MISMATCH", problem: mismatch, want: five},
		"patch beyond the length":          {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, body: strings.NewReader("56789x"), status: 400, code: "VALIDATION_ERROR", problem: length, after: "gone"},
		"patch in chunks beyond it":        {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, body: chunked("56789x"), status: 400, code: "VALIDATION_ERROR", problem: length, after: "gone"},
		"patch beyond the largest":         {method: "PATCH", path: "{unbounded}", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, body: chunked(strings.Repeat("x", 1000)), status: 413, code: "INVALID_FILE", want: fields{"Upload-Limit": "max-size=1000"}},
		"patch without an offset":          {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Complete", "?0"}, body: strings.NewReader("5"), status: 400, code: "VALIDATION_ERROR", want: five},
		"patch at a negative offset":       {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Complete", "?0", "Upload-Offset", "-1"}, body: strings.NewReader("5"), status: 400, code: "VALIDATION_ERROR", want: five},
		"patch at an offset of a bad type": {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Complete", "?0", "Upload-Offset", "\"5\""}, body: strings.NewReader("5"), status: 400, code: "VALIDATION_ERROR", want: five},
		"patch that doesn't say whether":   {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5"}, body: strings.NewReader("5"), status: 400, code: "VALIDATION_ERROR", want: five},
		"patch of another type":            {method: "PATCH", headers: headers{"Content-Type", "text/plain", "Upload-Offset", "5", "Upload-Complete", "?0"}, body: strings.NewReader("5"), status: 415, code: "UNSUPPORTED_MEDIA_TYPE", want: fields{"Upload-Offset": "5", "Accept-Patch": part}},
		"patch of an unknown upload":       {method: "PATCH", path: "/files/0123456789abcdef0123456789abcdef", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0"}, body: strings.NewReader("5"), status: 404, code: "NOT_FOUND"},
		"wrong patch of an unknown upload": {method: "PATCH", path: "/files/0123456789abcdef0123456789abcdef", headers: headers{"Content-Type", part, "Upload-Complete", "?0"}, body: strings.NewReader("5"), status: 404, code: "NOT_FOUND"},
		"patch of an expired upload":       {method: "PATCH", path: "{expired}", headers: headers{"Content-Type", part, "Upload-Offset", "3", "Upload-Complete", "?0"}, body: strings.NewReader("5"), status: 410, code: "GONE"},
		"patch of a completed upload":      {method: "PATCH", path: "{completed}", headers: headers{"Content-Type", part, "Upload-Offset", "10", "Upload-Complete", "?1"}, status: 400, code: "UPLOAD_COMPLETED", problem: completed, want: fields{"Upload-Complete": "?1"}},
		"patch of one, with bytes":         {method: "PATCH", path: "{completed}", headers: headers{"Content-Type", part, "Upload-Offset", "10", "Upload-Complete", "?0"}, body: strings.NewReader("x"), status: 400, code: "UPLOAD_COMPLETED", problem: completed},
		"patch of one of tus":              {method: "PATCH", path: "{tus}", headers: headers{"Content-Type", part, "Upload-Offset", "3", "Upload-Complete", "?1"}, body: strings.NewReader("def"), status: 201, want: fields{"Upload-Complete": "?1"}},
		"patch with its digest":            {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0", "Content-Digest", sha("56")}, body: strings.NewReader("56"), status: 204, after: "7 ?0"},
		"patch with another digest":        {method: "PATCH", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?0", "Content-Digest", sha("57")}, body: strings.NewReader("56"), status: 400, code: "CHECKSUM_MISMATCH", want: five},
		"end with the right digest of all": {method: "PATCH", path: "{digested}", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?1"}, body: strings.NewReader("56789"), status: 201},
		"end with another digest of all":   {method: "PATCH", path: "{digested}", headers: headers{"Content-Type", part, "Upload-Offset", "5", "Upload-Complete", "?1"}, body: strings.NewReader("5678x"), status: 400, code: "CHECKSUM_MISMATCH", want: fields{"Upload-Complete": "?1"}},
		"octets without a version":         {method: "PATCH", headers: headers{"Content-Type", "application/offset+octet-stream", "Upload-Offset", "5", "Upload-Complete", "?0"}, body: strings.NewReader("5"), status: 412, code: "UNSUPPORTED_VERSION"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &server.Options{MaxFileBytes: 1000, ExpireAfter: time.Hour})
			upload := r.begin("01234", "Upload-Length", "10")
			path := upload
			switch c.path {
			case "":
			case "{completed}":
				path = r.begin("0123456789", "Upload-Length", "10")
				r.append(path, "10", "?1", nil)
			case "{unbounded}":
				path = r.begin("01234")
			case "{digested}":
				path = r.begin("01234", "Repr-Digest", sha("0123456789"))
			case "{tus}":
				path = r.upload("abc", "Upload-Length", "6")
			case "{expired}":
				path = r.make(c.path)
			default:
				path = c.path
			}
			resp, text := r.rufh(c.method, path, c.body, c.headers...)
			r.wantProblem(resp, text, c.status, c.code)
			var p protocol.Problem
			if _ = json.Unmarshal(text, &p); c.problem != "" && p.Type != c.problem {
				t.Errorf("problem is %s", text)
			}
			if c.problem == mismatch && (p.ExpectedOffset == nil || *p.ExpectedOffset != 5 || p.ProvidedOffset == nil || *p.ProvidedOffset != 4) {
				t.Errorf("problem is %s", text)
			}
			if c.status == http.StatusCreated && !strings.HasPrefix(resp.Header.Get("Location"), "/files/") {
				t.Errorf("Location is %q", resp.Header.Get("Location"))
			}
			for name, want := range c.want {
				// A second may have gone since.
				if got := strings.ReplaceAll(resp.Header.Get(name), "3598", "3599"); got != want && !strings.HasPrefix(got, want+", max-age") {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if c.after == "" {
				c.after = "5 ?0"
			}
			after, _ := r.rufh("HEAD", upload, nil)
			got := after.Header.Get("Upload-Offset") + " " + after.Header.Get("Upload-Complete")
			if after.StatusCode == http.StatusNotFound {
				got = "gone"
			}
			if got != c.after {
				t.Errorf("then HEAD says %s, want %s", got, c.after)
			}
		})
	}
}

// interims makes a request and returns the 104s before its answer.
func (r *rig) interims(method, path string, body io.Reader, headers ...string) ([]http.Header, *http.Response) {
	r.Helper()
	var got []http.Header
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if code != rufh.StatusResumptionSupported {
				return fmt.Errorf("got %d", code)
			}
			got = append(got, http.Header(header))
			return nil
		},
	})
	req, err := http.NewRequestWithContext(ctx, method, r.url+path, body)
	r.must(err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := r.client.Do(req)
	r.must(err)
	_, err = io.Copy(io.Discard, resp.Body)
	r.must(err)
	r.must(resp.Body.Close())
	return got, resp
}

func TestInterimAnswers(t *testing.T) {
	for version, c := range map[string]struct {
		n     int
		limit string
	}{"8": {1, "max-size=1000, max-age=3"}, "6": {1, "max-size=1000, expires=3"}, "7": {}, "9": {}, "x": {}, "": {}} {
		r := newRig(t, &server.Options{MaxFileBytes: 1000, ExpireAfter: time.Hour})
		got, resp := r.interims("POST", "/files/", strings.NewReader("abc"), "Upload-Complete", "?1", "Upload-Draft-Interop-Version", version)
		if len(got) != c.n {
			t.Fatalf("version %q gets %v", version, got)
		}
		if c.n == 0 {
			continue
		}
		if got[0].Get("Location") != resp.Header.Get("Location") || got[0].Get("Location") == "" ||
			got[0].Get("Upload-Draft-Interop-Version") != version || !strings.HasPrefix(got[0].Get("Upload-Limit"), c.limit) {
			t.Errorf("version %s gets %v and then %v", version, got, resp.Header)
		}
		if resp.Header.Get("Upload-Draft-Interop-Version") != "" {
			t.Errorf("version on the final answer: %v", resp.Header)
		}
	}
}

func TestNoInterimAnswerBefore11(t *testing.T) {
	r := newRig(t, nil)
	conn := r.send("POST /files/ HTTP/1.0\r\nUpload-Complete: ?1\r\nUpload-Draft-Interop-Version: 8\r\nContent-Length: 3\r\n\r\nabc")
	if resp, text := r.answer(conn); resp.StatusCode != http.StatusCreated {
		t.Errorf("%s %s", resp.Status, text)
	}
}

// A body that takes its time hears how far it came: only what is stored, without
// a Location.
func TestProgress(t *testing.T) {
	r := newRig(t, nil)
	path := r.begin("")
	body, send := io.Pipe()
	go func() {
		for range 8 {
			if _, err := send.Write(sequence(256 << 10)); err != nil {
				return
			}
			time.Sleep(300 * time.Millisecond)
		}
		_ = send.Close()
	}()
	got, resp := r.interims("PATCH", path, body, "Content-Type", rufh.ContentType, "Upload-Offset", "0", "Upload-Complete", "?1", "Upload-Draft-Interop-Version", "8")
	if resp.StatusCode != http.StatusCreated || len(got) == 0 {
		t.Fatalf("%s after %v", resp.Status, got)
	}
	last := ""
	for _, header := range got {
		offset := header.Get("Upload-Offset")
		if len(header.Values("Location")) > 0 || header.Get("Upload-Draft-Interop-Version") != "8" || offset == "" || offset == last {
			t.Errorf("interim answer is %v after offset %s", header, last)
		}
		last = offset
	}
}

func TestExpectContinueWithInterim(t *testing.T) {
	r := newRig(t, nil)
	conn := r.send("PUT /files/a HTTP/1.1\r\nHost: x\r\nUpload-Draft-Interop-Version: 8\r\nExpect: 100-continue\r\nUpload-Complete: ?1\r\nContent-Length: 3\r\n\r\n")
	lines := bufio.NewReader(conn)
	var codes []string
	for len(codes) < 2 { // each is a status, fields and an empty line
		line, err := lines.ReadString('\n')
		r.must(err)
		if strings.HasPrefix(line, "HTTP/") {
			codes = append(codes, strings.Fields(line)[1])
		}
	}
	if fmt.Sprint(codes) != "[104 100]" {
		t.Errorf("first come %v", codes)
	}
	_, err := io.WriteString(conn, "abc")
	r.must(err)
	_, err = lines.ReadString('\n')
	r.must(err)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, "201") {
		t.Errorf("then comes %s, %v", line, err)
	}
}

// The whole way: 104, a broken connection, HEAD, PATCH.
func TestResumeByRUFH(t *testing.T) { overStores(t, resumeByRUFH) }

func resumeByRUFH(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, nil)
	data := string(sequence(1 << 20))
	conn := r.send(fmt.Sprintf("POST /files/ HTTP/1.1\r\nHost: x\r\nUpload-Draft-Interop-Version: 8\r\nUpload-Complete: ?1\r\nRepr-Digest: %s\r\n"+
		"Content-Disposition: inline; filename*=UTF-8''%%C3%%BCber.txt\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", sha(data), len(data), data[:600<<10]))
	lines := bufio.NewReader(conn)
	path := ""
	for path == "" {
		line, err := lines.ReadString('\n')
		r.must(err)
		if location, ok := strings.CutPrefix(line, "Location: "); ok {
			path = strings.TrimSpace(location)
		}
	}
	r.must(conn.Close())
	head, _ := r.rufh("HEAD", path, nil)
	offset := head.Header.Get("Upload-Offset")
	var n int
	if _, err := fmt.Sscan(offset, &n); err != nil || n > 600<<10 || head.Header.Get("Upload-Complete") != "?0" || head.Header.Get("Upload-Length") != fmt.Sprint(len(data)) {
		t.Fatalf("after the break: %v", head.Header)
	}
	resp, text := r.append(path, offset, "?1", strings.NewReader(data[n:]))
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s", resp.Status, text)
	}
	if string(r.content(path)) != data {
		t.Error("stored something else")
	}
	info := r.stat(path)
	if info.Name != "über.txt" || info.Metadata["filetype"] != "text/plain" {
		t.Errorf("name and type are %q and %q", info.Name, info.Metadata["filetype"])
	}
	tus, _ := r.do("HEAD", path, nil)
	if got := tus.Header.Get("Upload-Metadata"); strings.Count(got, ",") != 1 || !strings.Contains(got, "filename w7xiZXIudHh0") {
		t.Errorf("tus hears %q", got)
	}
}

// A newer request ends an older one of either protocol, which hears the offset.
func TestRUFHTakesOver(t *testing.T) { overStores(t, rufhTakesOver) }

func rufhTakesOver(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	request := func(r *rig, path string) net.Conn {
		return r.send("PATCH " + path + " HTTP/1.1\r\nHost: x\r\nUpload-Offset: 5\r\nUpload-Complete: ?1\r\nContent-Type: " +
			rufh.ContentType + "\r\nContent-Length: 5\r\n\r\n56")
	}
	for method, c := range map[string]struct{ status, end int }{"HEAD": {204, 409}, "DELETE": {204, 409}} {
		t.Run(method, func(t *testing.T) {
			r := newRig(t, nil)
			path := r.begin("01234", "Upload-Length", "10")
			old := request(r, path)
			r.reading()
			if resp, text := r.rufh(method, path, nil); resp.StatusCode != c.status {
				t.Errorf("%s: %s %s", method, resp.Status, text)
			}
			resp, text := r.answer(old)
			r.wantProblem(resp, text, c.end, "SUPERSEDED")
			if !resp.Close {
				t.Error("the connection of a request that was cut off is used again")
			}
		})
	}
}
