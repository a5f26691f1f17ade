package server_test

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/server"
)

// curl runs the real one, which has to be installed, in a directory with a file
// a.txt of ten bytes.
func (r *rig) curl(args ...string) string {
	r.Helper()
	dir := r.TempDir()
	r.must(os.WriteFile(filepath.Join(dir, "a.txt"), []byte("0123456789"), 0o600))
	cmd := exec.CommandContext(r.Context(), "curl", append([]string{"-sS", "--max-time", "20"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("curl %v: %v: %s", args, err, out)
	}
	return string(out)
}

var stored = regexp.MustCompile(`10 bytes are stored, at (/files/[0-9a-f]{32})\n$`)

func TestPlainUploadByCurl(t *testing.T) {
	for name, c := range map[string]struct {
		args     []string // the last is a path
		filename string
		filetype string
	}{
		"put below the path":  {[]string{"-T", "a.txt", "/files/"}, "a.txt", ""},
		"put with a name":     {[]string{"-T", "a.txt", "/files/b%20c.txt"}, "b c.txt", ""},
		"put of a pipe":       {[]string{"-T", "-", "-H", "Content-Type: text/plain", "/files/piped"}, "piped", "text/plain"},
		"post":                {[]string{"--data-binary", "@a.txt", "/files/"}, "", ""},
		"post with a name":    {[]string{"--data-binary", "@a.txt", "-H", "Content-Type: text/csv", "/files/d.csv"}, "d.csv", "text/csv"},
		"name in a header":    {[]string{"-T", "a.txt", "-H", "Content-Disposition: inline; filename=\"../e.txt\"", "/files/"}, "e.txt", ""},
		"put without waiting": {[]string{"-T", "a.txt", "-H", "Expect:", "/files/"}, "a.txt", ""},
		"put over HTTP/1.0":   {[]string{"-0", "-T", "a.txt", "/files/"}, "a.txt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &server.Options{AllowReading: true})
			last := len(c.args) - 1
			args := append(append([]string{"-i"}, c.args[:last]...), r.url+c.args[last])
			var out string
			if c.filename == "piped" {
				out = r.pipe("0123456789", args)
			} else {
				out = r.curl(args...)
			}
			at := stored.FindStringSubmatch(out)
			if at == nil || !strings.Contains(out, " 201 Created\r\n") || !strings.Contains(out, "Location: "+at[1]+"\r\n") {
				t.Fatalf("answer is %s", out)
			}
			info := r.stat(at[1])
			if got := string(r.content(at[1])); got != "0123456789" || info.Name != c.filename || info.Metadata["filetype"] != c.filetype {
				t.Errorf("stored %q as %q of type %q", got, info.Name, info.Metadata["filetype"])
			}
			if got := r.curl("-r", "3-5", r.url+at[1]); got != "345" {
				t.Errorf("read %q", got)
			}
			if got := r.curl("-I", r.url+at[1]); !strings.Contains(got, "Content-Length: 10\r\n") || !strings.Contains(got, "Upload-Complete: ?1\r\n") {
				t.Errorf("of it curl hears %s", got)
			}
		})
	}
}

// pipe runs curl with something to read.
func (r *rig) pipe(data string, args []string) string {
	r.Helper()
	cmd := exec.CommandContext(r.Context(), "curl", append([]string{"-sS", "--max-time", "20"}, args...)...)
	cmd.Stdin = strings.NewReader(data)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.Fatalf("curl %v: %v: %s", args, err, out)
	}
	return string(out)
}

func TestRUFHByCurl(t *testing.T) {
	r := newRig(t, nil)
	out := r.curl("-i", "-T", "a.txt", "-H", "Upload-Complete: ?0", "-H", "Upload-Length: 13", "-H", "Upload-Draft-Interop-Version: 8", r.url+"/files/")
	at := regexp.MustCompile(`(?s)HTTP/1.1 104 .*Location: (/files/\S+)\r\n.*HTTP/1.1 201 .*Upload-Complete: \?0`).FindStringSubmatch(out)
	if at == nil {
		t.Fatalf("answer is %s", out)
	}
	out = r.curl("-i", "-X", "PATCH", "--data-binary", "abc", "-H", "Content-Type: application/partial-upload",
		"-H", "Upload-Offset: 10", "-H", "Upload-Complete: ?1", r.url+at[1])
	if !strings.Contains(out, "13 bytes are stored") || string(r.content(at[1])) != "0123456789abc" {
		t.Errorf("answer is %s", out)
	}
}

func TestFormIsRefused(t *testing.T) {
	r := newRig(t, nil)
	out := r.curl("-i", "-F", "file=@a.txt", r.url+"/files/")
	if !strings.Contains(out, " 415 ") || !strings.Contains(out, "curl -T FILE URL") {
		t.Errorf("answer is %s", out)
	}
	if n := r.unfinished(); n != 0 {
		t.Errorf("%d uploads of a form", n)
	}
}

// What came of a body that broke off stays for a client that was told where, and
// for nobody else.
func TestCreationByRUFHThatBreaksOff(t *testing.T) { overStores(t, creationByRUFHThatBreaksOff) }

func creationByRUFHThatBreaksOff(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	const plain = "PUT /files/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n"
	goOn := func(r *rig, path string) {
		r.Helper()
		head, _ := r.rufh("HEAD", path, nil)
		offset := head.Header.Get("Upload-Offset")
		if head.Header.Get("Upload-Complete") != "?0" {
			r.Fatalf("then HEAD says %v", head.Header)
		}
		r.append(path, offset, "?1", strings.NewReader("0123456789"[atoi(offset):]))
		if got := r.content(path); string(got) != "0123456789" {
			r.Errorf("stored %q", got)
		}
	}
	t.Run("plain, by the client", func(t *testing.T) {
		r := newRig(t, nil)
		conn := r.send(plain + "\r\n01234")
		r.reading()
		r.must(conn.Close())
		for r.server.InFlight() > 0 || r.unfinished() > 0 { // that nobody knows
			time.Sleep(time.Millisecond)
		}
	})
	t.Run("plain, by the server", func(t *testing.T) {
		r := newRig(t, &server.Options{IdleTimeout: 200 * time.Millisecond})
		resp, text := r.answer(r.send(plain + "\r\n01234"))
		r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
		goOn(r, resp.Header.Get("Location"))
	})
	t.Run("told where", func(t *testing.T) {
		r := newRig(t, nil)
		conn := r.send(plain + "Upload-Complete: ?1\r\nUpload-Draft-Interop-Version: 8\r\n\r\n01234")
		interim, err := http.ReadResponse(bufio.NewReader(conn), nil)
		r.must(err)
		r.reading()
		r.must(conn.Close())
		for r.server.InFlight() > 0 {
			time.Sleep(time.Millisecond)
		}
		goOn(r, interim.Header.Get("Location"))
	})
}
