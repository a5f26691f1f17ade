package server_test

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
)

// trailed is a body with an Upload-Checksum in its trailer.
type trailed struct {
	io.Reader
	checksum string
}

// plain is a store that can't do more than it must.
type plain struct{ store.Store }

func (p plain) Limits() store.Limits {
	limits := p.Store.Limits()
	limits.Verified = false
	return limits
}

// checksum returns the Upload-Checksum of s.
func checksum(algorithm, s string) string {
	h := map[string]hash.Hash{
		"sha1": sha1.New(), "sha256": sha256.New(), "md5": md5.New(), "crc32c": crc32.New(crc32.MakeTable(crc32.Castagnoli)),
	}[algorithm]
	_, _ = io.WriteString(h, s)
	return algorithm + " " + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// named puts uploads of a kind in the place of their names in braces.
func (r *rig) named(s string) string {
	r.Helper()
	made := make(map[string]string)
	return regexp.MustCompile(`\{\w+\}`).ReplaceAllStringFunc(s, func(name string) string {
		if made[name] == "" {
			made[name] = r.make(name)
		}
		return made[name]
	})
}

func (r *rig) make(name string) string {
	r.Helper()
	switch name {
	case "{url}":
		return r.url
	case "{id}":
		return strings.TrimPrefix(r.make("{whole}"), "/files/")
	case "{whole}":
		return r.upload("abc", "Upload-Length", "3", "Upload-Concat", "partial")
	case "{other}":
		return r.upload("defg", "Upload-Length", "4", "Upload-Concat", "partial")
	case "{half}":
		return r.upload("ab", "Upload-Length", "3", "Upload-Concat", "partial")
	case "{deferred}":
		return r.upload("abc", "Upload-Defer-Length", "1", "Upload-Concat", "partial")
	case "{done}":
		return r.upload("abc", "Upload-Length", "3")
	case "{final}":
		return r.create("Upload-Concat", "final;"+r.make("{whole}")+" "+r.make("{other}"))
	case "{unmade}": // the process died while it was put together
		_, info, err := r.files.Create(r.Context(), store.Spec{Length: 3, Metadata: map[string]string{"tus concat": "final;/files/x"}})
		r.must(err)
		return "/files/" + info.ID
	case "{expired}":
		path := r.upload("abc", "Upload-Length", "3", "Upload-Concat", "partial")
		r.age(path, 2*time.Hour)
		return path
	}
	r.Fatalf("%s is nothing", name)
	return ""
}

// upload makes one with its first bytes.
func (r *rig) upload(data string, headers ...string) string {
	r.Helper()
	resp, text := r.do("POST", "/files/", strings.NewReader(data), append(headers, "Content-Type", tus.ContentType)...)
	if resp.StatusCode != http.StatusCreated {
		r.Fatalf("create with upload: %s %s", resp.Status, text)
	}
	return resp.Header.Get("Location")
}

// age makes an upload's last change lie back.
func (r *rig) age(path string, by time.Duration) {
	r.Helper()
	then := time.Now().Add(-by)
	id := filepath.Base(path)
	if _, ok := r.files.(*clusterstore.Store); ok {
		file := filepath.Join(r.dir, ".streamflow/uploads", id)
		if _, err := os.Stat(file); err != nil {
			file = filepath.Join(r.dir, ".streamflow/finished", id)
		}
		r.ageState(file, then)
		return
	}
	for _, file := range []string{id, filepath.Join(".streamflow", id+".log")} {
		if err := os.Chtimes(filepath.Join(r.dir, file), then, then); !errors.Is(err, fs.ErrNotExist) {
			r.must(err)
		}
	}
}

// ageState does so in a bucket.
func (r *rig) ageState(file string, then time.Time) {
	r.Helper()
	text, err := os.ReadFile(file)
	r.must(err)
	var state map[string]any
	r.must(json.Unmarshal(text, &state))
	state["modified"] = then
	text, err = json.Marshal(state)
	r.must(err)
	r.must(os.WriteFile(file, text, 0o600))
	r.must(os.Chtimes(file, then, then))
}

func (r *rig) unfinished() (n int) {
	r.Helper()
	for _, err := range r.files.Unfinished(r.Context(), time.Time{}) {
		r.must(err)
		n++
	}
	return n
}

func TestExpectContinue(t *testing.T) {
	r := newRig(t, nil)
	for name, c := range map[string]struct {
		headers string
		first   string
		last    string
	}{
		"taken":   {"Upload-Length: 3\r\n", "100 Continue", "201 Created"},
		"refused": {"Upload-Length: x\r\n", "400 Bad Request", ""},
		"checked": {"Upload-Length: 3\r\nUpload-Checksum: sha3 x\r\n", "400 Bad Request", ""},
	} {
		conn := r.send("POST /files/ HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nExpect: 100-continue\r\n" +
			"Content-Type: " + tus.ContentType + "\r\nContent-Length: 3\r\n" + c.headers + "\r\n")
		lines := bufio.NewReader(conn)
		first, err := lines.ReadString('\n')
		r.must(err)
		if !strings.Contains(first, c.first) {
			t.Errorf("%s: first comes %s", name, first)
		}
		if c.last == "" {
			continue
		}
		_, err = io.WriteString(conn, "abc")
		r.must(err)
		_, err = lines.ReadString('\n')
		r.must(err)
		last, err := lines.ReadString('\n')
		r.must(err)
		if !strings.Contains(last, c.last) {
			t.Errorf("%s: then comes %s", name, last)
		}
	}
}

// send opens a connection and writes the beginning of a request.
func (r *rig) send(request string) net.Conn {
	r.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	r.must(err)
	r.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, request)
	r.must(err)
	return c
}

const creation = "POST /files/ HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Length: 10\r\nContent-Length: 10\r\nContent-Type: " + tus.ContentType + "\r\n"

func TestCreationThatBreaksOff(t *testing.T) { overStores(t, creationThatBreaksOff) }

func creationThatBreaksOff(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	t.Run("by the client", func(t *testing.T) {
		r := newRig(t, nil)
		c := r.send(creation + "\r\n01234")
		r.must(c.(*net.TCPConn).CloseWrite())
		resp, text := r.answer(c)
		r.wantProblem(resp, text, 400, "INCOMPLETE_BODY")
		if n := r.unfinished(); n != 0 {
			t.Errorf("%d uploads stay that nobody knows", n)
		}
	})
	t.Run("by the server", func(t *testing.T) {
		r := newRig(t, &server.Options{IdleTimeout: 50 * time.Millisecond})
		resp, text := r.answer(r.send(creation + "\r\n01234"))
		if resp.StatusCode != http.StatusCreated || resp.Header.Get("Upload-Offset") != "5" {
			t.Fatalf("%s %v %s", resp.Status, resp.Header, text)
		}
		path := resp.Header.Get("Location")
		r.patch(path, "5", strings.NewReader("56789"))
		if got := r.content(path); string(got) != "0123456789" {
			t.Errorf("stored %q", got)
		}
	})
	t.Run("by the server before the first byte", func(t *testing.T) {
		r := newRig(t, &server.Options{IdleTimeout: 50 * time.Millisecond})
		resp, text := r.answer(r.send(creation + "\r\n"))
		r.wantProblem(resp, text, 503, "UNAVAILABLE")
		if n := r.unfinished(); n != 0 {
			t.Errorf("%d uploads stay that nobody knows", n)
		}
	})
}

func TestChunkWithChecksumGoesBackToItsStart(t *testing.T) {
	overStores(t, chunkWithChecksumGoesBackToItsStart)
}

func chunkWithChecksumGoesBackToItsStart(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	const size = 3 << 20 // more than is acknowledged at once without a checksum
	data := string(sequence(size))
	request := func(r *rig, path, headers, body string) net.Conn {
		return r.send("PATCH " + path + " HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 5\r\nContent-Type: " +
			tus.ContentType + "\r\n" + headers + "\r\n" + body)
	}
	sized := fmt.Sprintf("Content-Length: %d\r\nUpload-Checksum: %s\r\n", size, checksum("sha1", data))
	chunks := fmt.Sprintf("%x\r\n%s\r\n", size, data)
	const trailer = "Transfer-Encoding: chunked\r\nTrailer: Upload-Checksum\r\n"
	for name, c := range map[string]struct {
		headers, body string
		status        int
		code          string
	}{
		"broken off":             {sized, data[:size-1], 400, "INCOMPLETE_BODY"},
		"broken off in a chunk":  {trailer, chunks[:size], 400, "INCOMPLETE_BODY"},
		"trailer that is cut":    {trailer, chunks + "0\r\nUpload-Check", 400, "INCOMPLETE_BODY"},
		"trailer that never was": {trailer, chunks + "0\r\n\r\n", 400, "VALIDATION_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			path := r.upload("01234", "Upload-Length", fmt.Sprint(size+5))
			conn := request(r, path, c.headers, c.body)
			r.must(conn.(*net.TCPConn).CloseWrite())
			resp, text := r.answer(conn)
			r.wantProblem(resp, text, c.status, c.code)
			if got := r.offset(path); got != "5" {
				t.Errorf("offset is %s", got)
			}
			resp, text = r.patch(path, "5", strings.NewReader(data), "Upload-Checksum", checksum("sha1", data))
			if resp.StatusCode != http.StatusNoContent {
				t.Fatalf("again: %s %s", resp.Status, text)
			}
			if string(r.content(path)) != "01234"+data {
				t.Error("stored something else")
			}
		})
	}
	t.Run("taken over", func(t *testing.T) {
		r := newRig(t, nil)
		path := r.upload("01234", "Upload-Length", fmt.Sprint(size+5))
		old := request(r, path, sized, data[:size/2])
		r.reading()
		if got := r.offset(path); got != "5" {
			t.Errorf("offset is %s", got)
		}
		resp, text := r.answer(old)
		r.wantProblem(resp, text, http.StatusConflict, protocol.CodeSuperseded)
	})
}

func TestConcatenation(t *testing.T) { overStores(t, concatenation) }

func concatenation(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	r := newRig(t, nil)
	parts := []string{r.make("{whole}"), r.make("{other}")}
	concat := "final;" + parts[1] + " " + parts[0] + " " + parts[1]
	final := r.create("Upload-Concat", concat, "Upload-Metadata", "filename d29ybGQ=")
	if got := r.content(final); string(got) != "defgabcdefg" {
		t.Errorf("stored %q", got)
	}
	resp, _ := r.do("HEAD", final, nil, "Want-Repr-Digest", "crc32c=1")
	for name, want := range map[string]string{
		"Upload-Concat": concat, "Upload-Length": "11", "Upload-Offset": "11", "Upload-Metadata": "filename d29ybGQ=",
		"Repr-Digest": "crc32c=:" + strings.TrimPrefix(checksum("crc32c", "defgabcdefg"), "crc32c ") + ":",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s of the final upload is %q, want %q", name, got, want)
		}
	}
	for _, part := range parts {
		resp, _ := r.do("HEAD", part, nil)
		if got := resp.Header.Get("Upload-Concat"); got != "partial" || len(resp.Header.Values("Upload-Metadata")) != 0 {
			t.Errorf("headers of a part are %v", resp.Header)
		}
		if resp, text := r.do("DELETE", part, nil); resp.StatusCode != http.StatusNoContent {
			t.Errorf("part after the final upload: %s %s", resp.Status, text)
		}
	}
	if got := r.content(final); string(got) != "defgabcdefg" {
		t.Errorf("without its parts it has %q", got)
	}
	entries, err := os.ReadDir(r.dir)
	r.must(err)
	if len(entries) != 2 { // the final upload and .streamflow
		t.Errorf("in the directory are %v", entries)
	}
	part := r.upload("abc", "Upload-Length", "3", "Upload-Concat", "partial", "Upload-Metadata", "filename cGFydA==")
	resp, _ = r.do("HEAD", r.create("Upload-Concat", "final;"+part), nil)
	if got := resp.Header.Values("Upload-Metadata"); len(got) != 0 {
		t.Errorf("a final upload inherits %q", got)
	}
}

func TestWhatTheStoreCannotDoIsRefused(t *testing.T) {
	inner := newRig(t, nil)
	r := newRigOver(t, plain{inner.files}, inner.mem, nil)
	path := r.create("Upload-Length", "3")
	resp, text := r.patch(path, "0", strings.NewReader("abc"), "Upload-Checksum", checksum("sha1", "abc"))
	r.wantProblem(resp, text, 400, "VALIDATION_ERROR")
	resp, text = r.do("POST", "/files/", nil, "Upload-Length", "3", "Upload-Concat", "partial")
	r.wantProblem(resp, text, 400, "VALIDATION_ERROR")
	if _, err := server.New(plain{inner.files}, inner.mem, &server.Options{ExpireAfter: time.Hour}); err == nil {
		t.Error("uploads may expire that can't be found")
	}
}
