package server_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/policy"
)

// Files of 5,000 bytes: more than is looked at.
var (
	pngFile  = append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), make([]byte, 5000-16)...)
	htmlFile = append([]byte("<!DOCTYPE html><script>"), bytes.Repeat([]byte(" "), 5000-23)...)
	wasmFile = append([]byte("\x00asm\x01\x00\x00\x00"), make([]byte, 5000-8)...)
)

func images() *server.Options {
	image, _ := policy.ParseType("image/*")
	return &server.Options{Policy: policy.Options{Types: []policy.TypePattern{image}}}
}

func metadata(pairs ...string) string {
	m := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	wire, _ := tus.EncodeMetadata(m)
	return wire
}

var asPNG = metadata("filetype", "image/png", "filename", "a.png")

// wantEmpty fails the test if any upload is left.
func (r *rig) wantEmpty() {
	r.Helper()
	for info, err := range r.files.Unfinished(r.Context(), time.Time{}) {
		r.Errorf("%s is left unfinished, %v", info.ID, err)
	}
	for info, err := range r.files.Finished(r.Context(), time.Time{}) {
		r.Errorf("%s is left finished, %v", info.ID, err)
	}
}

func TestPolicyDeclared(t *testing.T) {
	jpg, _ := policy.ParseExtension(".jpg")
	png, _ := policy.ParseExtension(".png")
	pdf, _ := policy.ParseType("application/pdf")
	opts := images()
	opts.Policy.Types = append(opts.Policy.Types, pdf)
	opts.Policy.Extensions = []policy.Extension{jpg, png}
	r := newRig(t, opts)
	for name, test := range map[string]struct {
		metadata string
		status   int
		detail   string
	}{
		"allowed":          {metadata("filetype", "image/png", "filename", "a.png"), 201, ""},
		"upper case":       {metadata("filetype", "Image/PNG", "filename", "A.PNG"), 201, ""},
		"parameters":       {metadata("filetype", "application/pdf; version=1.7", "filename", "a.jpg"), 201, ""},
		"nothing":          {"", 400, "the file has no type: send its media type as filetype; allowed is image/*, application/pdf"},
		"no type":          {metadata("filename", "a.png"), 400, "the file has no type"},
		"empty type":       {metadata("filetype", "", "filename", "a.png"), 400, "the file has no type"},
		"no media type":    {metadata("filetype", "png", "filename", "a.png"), 400, `"png" is no media type`},
		"another type":     {metadata("filetype", "text/html", "filename", "a.png"), 415, "files of type text/html are not taken here"},
		"no name":          {metadata("filetype", "image/png"), 400, "the file has no name: send one as filename, ending in one of .jpg, .png"},
		"no extension":     {metadata("filetype", "image/png", "filename", "png"), 415, "the file's name must end in one of .jpg, .png"},
		"two extensions":   {metadata("filetype", "image/png", "filename", "a.png.html"), 415, "the file's name"},
		"hidden by a NUL":  {metadata("filetype", "image/png", "filename", "a.html\x00.png"), 415, "the file's name"},
		"part":             {"", 201, ""},
		"whole from parts": {"", 400, "the file has no type"},
	} {
		t.Run(name, func(t *testing.T) {
			in := *r
			in.T = t
			r := &in
			headers := []string{"Upload-Length", "10", "Upload-Metadata", test.metadata}
			switch name {
			case "part":
				headers = append(headers, "Upload-Concat", "partial")
			case "whole from parts":
				headers = []string{"Upload-Concat", "final;" + r.make("{whole}")}
			}
			resp, text := r.do("POST", "/files/", nil, headers...)
			if test.status == 201 {
				if resp.StatusCode != 201 {
					t.Errorf("%s %s", resp.Status, text)
				}
				return
			}
			r.wantProblem(resp, text, test.status, protocol.CodeFile)
			if !strings.Contains(problem(t, text).Detail, test.detail) {
				t.Errorf("problem is %s, want %q", text, test.detail)
			}
		})
	}
}

func problem(t *testing.T, text []byte) (p protocol.Problem) {
	t.Helper()
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

// Wherever the first bytes come from, they are looked at before the upload is
// finished.
func TestPolicySignature(t *testing.T) {
	ways := map[string]func(r *rig, file []byte) (*http.Response, []byte){
		"one PATCH": func(r *rig, file []byte) (*http.Response, []byte) {
			return r.patch(r.declare(len(file)), "0", bytes.NewReader(file))
		},
		"first chunk of one byte": func(r *rig, file []byte) (*http.Response, []byte) {
			path := r.declare(len(file))
			r.patch(path, "0", bytes.NewReader(file[:1]))
			return r.patch(path, "1", bytes.NewReader(file[1:]))
		},
		"short file": func(r *rig, file []byte) (*http.Response, []byte) {
			return r.patch(r.declare(16), "0", bytes.NewReader(file[:16]))
		},
		"with the creation": func(r *rig, file []byte) (*http.Response, []byte) {
			return r.do("POST", "/files/", bytes.NewReader(file), "Content-Type", tus.ContentType,
				"Upload-Length", strconv.Itoa(len(file)), "Upload-Metadata", asPNG)
		},
		"of a length that comes later": func(r *rig, file []byte) (*http.Response, []byte) {
			path := r.create("Upload-Defer-Length", "1", "Upload-Metadata", asPNG)
			return r.patch(path, "0", chunked(string(file)), "Upload-Length", strconv.Itoa(len(file)))
		},
		"with a checksum": func(r *rig, file []byte) (*http.Response, []byte) {
			return r.patch(r.declare(len(file)), "0", bytes.NewReader(file), "Upload-Checksum", checksum("sha1", string(file)))
		},
		"gzip": func(r *rig, file []byte) (*http.Response, []byte) {
			return r.patch(r.declare(len(file)), "0", gzipped(string(file)), "Content-Encoding", "gzip")
		},
		"RUFH": func(r *rig, file []byte) (*http.Response, []byte) {
			return r.rufh("POST", "/files/", bytes.NewReader(file), "Upload-Complete", "?1",
				"Content-Type", "image/png", "Content-Disposition", "attachment; filename=a.png")
		},
		"concatenated": func(r *rig, file []byte) (*http.Response, []byte) {
			one, rest := r.part(file[:1]), r.part(file[1:])
			return r.do("POST", "/files/", nil, "Upload-Concat", "final;"+one+" "+rest, "Upload-Metadata", asPNG)
		},
	}
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, images())
			if resp, text := send(r, pngFile); resp.StatusCode/100 != 2 {
				t.Errorf("PNG: %s %s", resp.Status, text)
			}
			for info, err := range r.files.Finished(t.Context(), time.Time{}) {
				if err != nil || info.Metadata["filetype"] != "image/png" {
					t.Errorf("finished is %+v, %v", info, err)
				}
				up, _, err := r.files.Open(t.Context(), info.ID)
				r.must(err)
				r.must(up.Abort(t.Context()))
			}
			for _, file := range [][]byte{htmlFile, wasmFile} {
				resp, text := send(r, file)
				r.wantProblem(resp, text, http.StatusUnsupportedMediaType, protocol.CodeFile)
			}
			if name == "concatenated" {
				r.removeParts()
			}
			r.wantEmpty()
		})
	}
}

// A refusal comes with the first bytes, before the rest is sent.
func TestPolicySignatureEarly(t *testing.T) {
	r := newRig(t, images())
	path := r.declare(1 << 40)
	under := r.half(path, 1<<40, string(htmlFile))
	resp, text := r.answer(under)
	r.wantProblem(resp, text, http.StatusUnsupportedMediaType, protocol.CodeFile)
	if resp, _ := r.do("HEAD", path, nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("then HEAD is %s", resp.Status)
	}
}

// declare creates an upload of something that says it is a PNG.
func (r *rig) declare(length int) string {
	r.Helper()
	return r.create("Upload-Length", strconv.Itoa(length), "Upload-Metadata", asPNG)
}

// part makes a partial upload with all its bytes.
func (r *rig) part(data []byte) string {
	r.Helper()
	return r.upload(string(data), "Upload-Length", strconv.Itoa(len(data)), "Upload-Concat", "partial")
}

// removeParts discards what is unfinished.
func (r *rig) removeParts() {
	r.Helper()
	for info, err := range r.files.Unfinished(r.Context(), time.Time{}) {
		r.must(err)
		if !tus.IsPartial(info.Metadata) {
			r.Errorf("%s is no part", info.ID)
		}
		resp, text := r.do("DELETE", "/files/"+info.ID, nil)
		if resp.StatusCode != http.StatusNoContent {
			r.Errorf("delete: %s %s", resp.Status, text)
		}
	}
}

func TestPolicyUploads(t *testing.T) {
	r := newRig(t, &server.Options{Policy: policy.Options{MaxUploads: 2}})
	one, two := r.create("Upload-Length", "3", "Upload-Metadata", "a YQ=="), r.create("Upload-Defer-Length", "1")
	refused := func(headers ...string) {
		t.Helper()
		resp, text := r.do("POST", "/files/", nil, headers...)
		r.wantProblem(resp, text, http.StatusTooManyRequests, protocol.CodeRateLimit)
		if p := problem(t, text); p.Limit != 2 || resp.Header.Get("Retry-After") == "" {
			t.Errorf("problem is %s, header %v", text, resp.Header)
		}
	}
	refused("Upload-Length", "3")
	refused("Upload-Defer-Length", "1")
	r.create("Upload-Length", "0") // has nothing to come
	r.patch(one, "0", strings.NewReader("ab"))
	refused("Upload-Length", "3")
	r.patch(one, "2", strings.NewReader("c"))
	three := r.create("Upload-Length", "3", "Upload-Concat", "partial")
	refused("Upload-Length", "3")
	r.patch(three, "0", strings.NewReader("abc")) // has all its bytes, though it is never finished
	r.create("Upload-Concat", "final;"+three)
	four := r.create("Upload-Length", "3")
	refused("Upload-Length", "3")
	r.do("DELETE", two, nil)
	r.create("Upload-Length", "3")
	refused("Upload-Length", "3")

	if resp, _ := r.do("HEAD", one, nil); resp.Header.Get("Upload-Metadata") != "a YQ==" {
		t.Errorf("metadata is %q", resp.Header.Get("Upload-Metadata"))
	}
	again := newRigOver(t, r.files, r.mem, &server.Options{Policy: policy.Options{MaxUploads: 2}})
	resp, text := again.do("POST", "/files/", nil, "Upload-Length", "3")
	again.wantProblem(resp, text, http.StatusTooManyRequests, protocol.CodeRateLimit)
	again.do("DELETE", four, nil)
	again.create("Upload-Length", "3")
}

func TestPolicyRequests(t *testing.T) {
	r := newRig(t, &server.Options{Policy: policy.Options{RequestsPerMinute: 3}})
	path := r.create("Upload-Length", "3")
	r.offset(path)
	r.offset(path)
	for _, method := range []string{"HEAD", "POST", "PATCH"} {
		resp, text := r.do(method, path, body(method), "Content-Type", tus.ContentType)
		r.wantProblem(resp, text, http.StatusTooManyRequests, protocol.CodeRateLimit)
		if got := resp.Header.Get(tus.HeaderResumable); got != tus.Version {
			t.Errorf("%s: Tus-Resumable is %q", method, got)
		}
		if after := resp.Header.Get("Retry-After"); atoi(after) < 15 || atoi(after) > 20 {
			t.Errorf("%s: Retry-After is %q", method, after)
		}
		if method != "HEAD" && problem(t, text).Limit != 3 {
			t.Errorf("problem is %s", text)
		}
	}
	if resp, _ := r.get("/healthz"); resp.StatusCode != http.StatusOK {
		t.Errorf("health is %s", resp.Status)
	}
}

// A slow pace isn't the client's fault: it trips no timeout.
func TestPolicyThrottle(t *testing.T) {
	for name, limit := range map[string]policy.Options{
		"each client": {BytesPerSecond: 40}, "in all": {TotalBytesPerSecond: 40},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &server.Options{IdleTimeout: 50 * time.Millisecond, Policy: limit})
			start := time.Now()
			path := r.upload("0123456789abcdef", "Upload-Length", "16")
			// The first 4 bytes are free, and the last are paid for by nobody.
			if took := time.Since(start); took < 200*time.Millisecond || took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			if got := r.content(path); string(got) != "0123456789abcdef" {
				t.Errorf("content is %q", got)
			}
		})
	}
}

// Who takes over, or ends the server, doesn't wait for the pace.
func TestPolicyThrottleTakeover(t *testing.T) {
	r := newRig(t, &server.Options{Policy: policy.Options{BytesPerSecond: 1}})
	path := r.create("Upload-Length", "3600")
	r.half(path, 3600, string(sequence(3600)))
	r.reading()
	start := time.Now()
	r.offset(path)
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestPolicyQuota(t *testing.T) {
	opts := &server.Options{ExpireAfter: time.Hour, ExpireFinishedAfter: time.Hour, Policy: policy.Options{Quota: 100}}
	r := newRig(t, opts)
	refused := func(resp *http.Response, text []byte) {
		t.Helper()
		r.wantProblem(resp, text, http.StatusInsufficientStorage, protocol.CodeNoSpace)
		if p := problem(t, text); p.Limit != 100 || p.Detail == "" {
			t.Errorf("problem is %s", text)
		}
	}
	// full: there is exactly so much room.
	full := func(room int) {
		t.Helper()
		resp, text := r.do("POST", "/files/", nil, "Upload-Length", strconv.Itoa(room+1))
		refused(resp, text)
		if resp, text := r.do("DELETE", r.create("Upload-Length", strconv.Itoa(room)), nil); resp.StatusCode != http.StatusNoContent {
			t.Errorf("delete: %s %s", resp.Status, text)
		}
	}
	full(100)
	ten := r.create("Upload-Length", "10")
	full(90)
	deferred := r.upload("0123456789", "Upload-Defer-Length", "1")
	full(80)
	resp, text := r.patch(deferred, "10", bytes.NewReader(sequence(200)))
	refused(resp, text)
	if resp.Header.Get("Upload-Offset") != "90" {
		t.Errorf("offset is %s", resp.Header.Get("Upload-Offset"))
	}
	full(0)
	resp, text = r.patch(deferred, "90", strings.NewReader("x"))
	refused(resp, text)
	resp, text = r.patch(deferred, "90", nil, "Upload-Length", "91")
	refused(resp, text)
	if resp, text = r.patch(ten, "0", bytes.NewReader(sequence(10))); resp.StatusCode != http.StatusNoContent {
		t.Errorf("what is reserved: %s %s", resp.Status, text)
	}
	if resp, text = r.patch(deferred, "90", nil, "Upload-Length", "90"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("the end: %s %s", resp.Status, text)
	}
	full(0)
	r.do("DELETE", deferred, nil)
	full(90)
	part := r.part(sequence(40))
	full(50)
	resp, text = r.do("POST", "/files/", nil, "Upload-Concat", "final;"+part+" "+part)
	refused(resp, text)
	r.create("Upload-Concat", "final;"+part)
	full(10)
	r.age(part, 2*time.Hour)
	r.age(ten, 2*time.Hour)
	r.must(r.server.RemoveExpired(t.Context()))
	full(60)

	again := newRigOver(t, r.files, r.mem, opts)
	resp, text = again.do("POST", "/files/", nil, "Upload-Length", "61")
	again.wantProblem(resp, text, http.StatusInsufficientStorage, protocol.CodeNoSpace)
	again.create("Upload-Length", "60")
}

// Uploads at the same time share what is left, to the last byte.
func TestPolicyQuotaTogether(t *testing.T) {
	const quota = 500_000
	r := newRig(t, &server.Options{Policy: policy.Options{Quota: quota}})
	var all sync.WaitGroup
	for range 8 {
		path := r.create("Upload-Defer-Length", "1")
		all.Go(func() {
			resp, _ := r.patch(path, "0", bytes.NewReader(sequence(100_000)))
			if resp.StatusCode != http.StatusNoContent && resp.StatusCode != http.StatusInsufficientStorage {
				t.Errorf("%s", resp.Status)
			}
		})
	}
	all.Wait()
	var stored int64
	for info, err := range r.files.Unfinished(t.Context(), time.Time{}) {
		r.must(err)
		stored += info.Offset
	}
	if stored != quota {
		t.Errorf("%d bytes are stored", stored)
	}
}
