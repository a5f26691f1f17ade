// Package deploy_test holds what is deployed to what the program has.
package deploy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store/filestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// promised are the metrics that dashboards of others may depend on, with their
// labels.
var promised = map[string][]string{
	"streamflow_uploads_created_total":         nil,
	"streamflow_uploads_finished_total":        nil,
	"streamflow_uploads_terminated_total":      nil,
	"streamflow_uploads_failed_total":          nil,
	"streamflow_received_bytes_total":          nil,
	"streamflow_http_requests_total":           {"code", "method"},
	"streamflow_http_request_duration_seconds": nil,
	"streamflow_uploads_in_flight":             nil,
	"streamflow_memory_reserved_bytes":         nil,
	"streamflow_memory_limit_bytes":            nil,
	"streamflow_memory_peak_bytes":             nil,
	"streamflow_memory_rss_bytes":              nil,
	"streamflow_memory_pressure_state":         {"state"},
	"streamflow_memory_refusals_total":         {"reason"},
	"streamflow_memory_wait_seconds":           nil,
	"streamflow_buffer_pool_gets_total":        nil,
	"streamflow_buffer_pool_misses_total":      nil,
	"streamflow_store_operation_seconds":       {"op", "store"},
	"streamflow_hook_calls_total":              {"event", "result"},
	"streamflow_build_info":                    {"goversion", "version"},
}

var suffix = regexp.MustCompile(`_(bucket|sum|count)$`)

// series returns the name and labels of each series that a server with a hook
// shows once it has had an upload.
func series(t *testing.T) map[string][]string {
	t.Helper()
	mem, err := memory.New(nil)
	must(t, err)
	defer mem.Close()
	files, err := filestore.Open(t.TempDir(), mem, &filestore.Options{ByID: true})
	must(t, err)
	defer files.Close()
	endpoint := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer endpoint.Close()
	hooks, err := hook.Open(t.Context(), []string{endpoint.URL}, t.TempDir(), files, mem, nil)
	must(t, err)
	defer func() { must(t, hooks.Close(t.Context())) }()
	srv, err := server.New(files, mem, &server.Options{Hooks: hooks})
	must(t, err)
	hs := httptest.NewServer(srv)
	defer hs.Close()
	defer hs.Client().CloseIdleConnections()
	ask := func(method, path string, headers ...string) string {
		req, err := http.NewRequestWithContext(t.Context(), method, hs.URL+path, nil)
		must(t, err)
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		resp, err := hs.Client().Do(req)
		must(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		must(t, err)
		if resp.StatusCode >= 300 {
			t.Fatalf("%s %s: %s", method, path, resp.Status)
		}
		return string(text)
	}
	ask("POST", "/files/", "Tus-Resumable", "1.0.0", "Upload-Length", "0")
	found := make(map[string][]string)
	for _, m := range regexp.MustCompile(`(?m)^(\w+)(?:\{(.*)\})? `).FindAllStringSubmatch(ask("GET", "/metrics"), -1) {
		labels := []string{}
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		found[m[1]] = labels
	}
	return found
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMetricsAreThosePromised(t *testing.T) {
	shown := make(map[string]bool)
	for name, labels := range series(t) {
		name = suffix.ReplaceAllString(name, "")
		shown[name] = true
		if want, ok := promised[name]; !ok || !slices.Equal(labels, want) {
			t.Errorf("%s with labels %v is shown, promised are %v", name, labels, want)
		}
	}
	for name := range promised {
		if !shown[name] {
			t.Errorf("%s is not shown", name)
		}
	}
}

func TestDashboardShowsTheMetrics(t *testing.T) {
	text, err := os.ReadFile("grafana.json")
	must(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	must(t, json.Unmarshal(text, &dashboard))
	exists, used := series(t), make(map[string]bool)
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			names := regexp.MustCompile(`\bstreamflow_\w+`).FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("panel %q asks for nothing of ours: %s", p.Title, target.Expr)
			}
			for _, name := range names {
				if _, ok := exists[name]; !ok {
					t.Errorf("panel %q asks for %s, which /metrics doesn't have", p.Title, name)
				}
				used[suffix.ReplaceAllString(name, "")] = true
			}
		}
	}
	for name := range promised {
		if !used[name] {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// build returns the path of the program.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "streamflow")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/streamflow").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// TestFlagsExist starts nothing: it compares the command lines with the help, and
// has the program read the settings.
func TestFlagsExist(t *testing.T) {
	program := build(t)
	if out, err := exec.CommandContext(t.Context(), program, "serve", "--config", "serve.toml", "--show-config").CombinedOutput(); err != nil {
		t.Errorf("serve.toml: %v: %s", err, out)
	}
	help, err := exec.CommandContext(t.Context(), program, "serve", "--help").Output()
	must(t, err)
	for file, line := range map[string]string{
		"streamflow.service": "ExecStart=",
		"Dockerfile":         "CMD [",
		"compose.yaml":       "command: [",
	} {
		text, err := os.ReadFile(file)
		must(t, err)
		_, rest, ok := strings.Cut(string(text), line)
		command, _, _ := strings.Cut(rest, "\n")
		flags := regexp.MustCompile(`--[a-z-]+`).FindAllString(command, -1)
		if !ok || len(flags) == 0 {
			t.Errorf("%s starts nothing", file)
		}
		for _, flag := range flags {
			if !strings.Contains(string(help), flag+" ") {
				t.Errorf("%s gives %s, which serve doesn't have", file, flag)
			}
		}
	}
}
