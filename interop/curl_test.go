package interop

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// curl runs the program, and returns what it wrote.
func curl(t *testing.T, input io.Reader, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-sS", "--max-time", "60"}, args...)...)
	cmd.Stdin = input
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustCurl(t *testing.T, input io.Reader, args ...string) string {
	t.Helper()
	out, err := curl(t, input, args...)
	if err != nil {
		t.Fatalf("curl %v: %v: %s", args, err, out)
	}
	return out
}

var at = regexp.MustCompile(`(?m)^[Ll]ocation: (/files/[0-9a-f]+)\r$`)

// TestCurl sends a file as a script would, and reads it back.
func TestCurl(t *testing.T) {
	t.Parallel()
	server := startServer(t, ours("--allow-reading"))
	endpoint := "http://" + server.address() + "/files/"
	file := source(t, 5*mib+3)
	for name, args := range map[string][]string{
		"PUT":               {"-T", file, endpoint},
		"PUT with a name":   {"-T", file, endpoint + url.PathEscape(sourceName)},
		"PUT of a pipe":     {"-T", "-", endpoint + url.PathEscape(sourceName)},
		"PUT over HTTP/2":   {"--http2-prior-knowledge", "-T", file, endpoint},
		"PUT over HTTP/1.0": {"--http1.0", "-T", file, endpoint},
		"POST":              {"--data-binary", "@" + file, "-H", "Content-Type: application/octet-stream", endpoint + url.PathEscape(sourceName)},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			out := mustCurl(t, bytes.NewReader(want), append([]string{"-i"}, args...)...)
			location := at.FindStringSubmatch(out)
			if location == nil {
				t.Fatalf("the answer is %s", out)
			}
			if err := server.holds(location[1], file); err != nil {
				t.Error(err)
			}
			readBack(t, "http://"+server.address()+location[1], want)
		})
	}
}

// readBack has curl go on with a file of which it has some already, and name it
// as it was.
func readBack(t *testing.T, from string, want []byte) {
	t.Helper()
	dir := t.TempDir()
	some := filepath.Join(dir, "some")
	if err := os.WriteFile(some, want[:mib], 0o600); err != nil {
		t.Fatal(err)
	}
	mustCurl(t, nil, "--fail", "-C", "-", "-o", some, from)
	if got, err := os.ReadFile(some); err != nil || !bytes.Equal(got, want) {
		t.Errorf("of %d bytes, %d are there: %v", len(want), len(got), err)
	}
	if got := mustCurl(t, nil, "--fail", "-r", "1000-1999", from); got != string(want[1000:2000]) {
		t.Errorf("a range has %d bytes, and not those", len(got))
	}
}

// TestCurlGoesOn resumes a PUT whose connection was cut, by the URL in its 104.
func TestCurlGoesOn(t *testing.T) {
	t.Parallel()
	server := startServer(t, ours("--allow-reading"))
	proxy := startProxy(t, server.address())
	file := source(t, 16*mib+3)
	proxy.after(6*mib, func(net.Conn) { proxy.cut() })
	heard := filepath.Join(t.TempDir(), "heard")
	if out, err := curl(t, nil, "-D", heard, "-T", file, "-H", "Upload-Complete: ?1", "-H", "Upload-Draft-Interop-Version: 8", proxy.endpoint()); err == nil {
		t.Fatalf("nothing was cut: %s", out)
	}
	headers, err := os.ReadFile(heard)
	if err != nil {
		t.Fatal(err)
	}
	location := at.FindSubmatch(headers)
	if location == nil || !bytes.Contains(headers, []byte("HTTP/1.1 104 ")) {
		t.Fatalf("curl has heard %s", headers)
	}
	upload := "http://" + server.address() + string(location[1])

	offset, err := strconv.Atoi(header(mustCurl(t, nil, "-I", upload), "Upload-Offset"))
	if err != nil || offset == 0 || offset > 8*mib {
		t.Fatalf("after the cut the offset is %d, %v", offset, err)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	mustCurl(t, bytes.NewReader(want[offset:]), "--fail", "-X", "PATCH", "-T", "-", "-H", "Content-Type: application/partial-upload",
		"-H", "Upload-Offset: "+strconv.Itoa(offset), "-H", "Upload-Complete: ?1", upload)
	if err := server.holds(upload, file); err != nil {
		t.Error(err)
	}
	readBack(t, upload, want)
}

// header is the value of a field in what curl writes.
func header(text, name string) string {
	for line := range strings.Lines(text) {
		if field, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(field, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
