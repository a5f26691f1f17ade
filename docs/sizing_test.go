package docs_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	left  = regexp.MustCompile(`(\d+) MiB of (\d+ [MG]iB)`)
	limit = regexp.MustCompile(`(?m)^streamflow_memory_limit_bytes (\d+)$`)
)

// TestSizing compares what operation.md says is left of a budget with what a server
// says: it changes with the size of the program.
func TestSizing(t *testing.T) {
	text, err := os.ReadFile("operation.md")
	if err != nil {
		t.Fatal(err)
	}
	said := left.FindAllStringSubmatch(string(text), -1)
	if len(said) == 0 {
		t.Fatal("operation.md says nothing of what is left of a budget")
	}
	program := build(t)
	for _, m := range said {
		budget := strings.ReplaceAll(m[2], " ", "")
		mebibytes, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if got := limitOf(t, program, budget); got < int64(mebibytes-1)<<20 || got > int64(mebibytes+1)<<20 {
			t.Errorf("operation.md says that %d MiB are left of %s: it is %.1f", mebibytes, budget, float64(got)/(1<<20))
		}
	}
}

// limitOf returns the limit of a server with that budget, in bytes.
func limitOf(t *testing.T, program, budget string) int64 {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "serve", "--listen", "127.0.0.1:0", "--store", t.TempDir(), "--max-memory", budget)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, strings.TrimSuffix(url, "files/\n")+"metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	metrics, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := limit.FindSubmatch(metrics)
	if m == nil {
		t.Fatalf("no limit in %s", metrics)
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
