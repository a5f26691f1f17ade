// Package layers_test checks what may import what: between the packages of
// this module, and from them to others. docs/design/architecture.md draws it,
// docs/design/dependencies.md gives the reasons.
package layers_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/streamflow/streamflow"

// arrows lists for each package what it may import besides the standard
// library. Packages of this module are named from its root, which is ".".
// A name ending in "/..." stands for itself and all below; "..." is anything.
// The first matching row holds.
var arrows = []struct {
	from string
	to   []string
}{
	{"memory", []string{"golang.org/x/..."}},
	{"memory/machine", []string{"github.com/KimMachineGun/automemlimit/..."}},
	{"store", []string{"memory", "golang.org/x/..."}},
	{"store/storetest", []string{"store", "memory"}},
	{"store/filestore", []string{"store", "memory", "internal/...", "golang.org/x/..."}},
	{"store/tusstore", []string{"store", "memory", "internal/...", "protocol", "protocol/tus", "golang.org/x/...", "github.com/klauspost/compress/gzip"}},
	{"protocol", []string{"store", "memory", "internal/...", "github.com/dunglas/httpsfv/..."}},
	{"protocol/rufh", []string{"protocol", "store", "memory", "internal/...", "github.com/dunglas/httpsfv/..."}},
	{"store/s3store", []string{"store", "memory", "internal/..."}},
	{"store/clusterstore", []string{"store", "memory", "internal/..."}},
	{"protocol/tus", []string{"protocol", "store", "memory", "internal/..."}},
	{"server/auth", []string{"store", "internal/...", "protocol"}},
	{"server/policy", []string{
		"store", "internal/...", "protocol", "protocol/tus", "server/auth", "golang.org/x/...", "github.com/gabriel-vasile/mimetype/...",
	}},
	{"server/page", nil},
	{"server/hook", []string{"store", "memory", "internal/...", "protocol", "protocol/tus", "server/auth", "github.com/standard-webhooks/standard-webhooks/libraries/..."}},
	{"server", []string{"store", "memory", "internal/...", "protocol/...", "server/...", "github.com/VictoriaMetrics/metrics/...", "github.com/rs/cors/..."}},
	{"compression", []string{"store", "memory", "github.com/klauspost/compress/..."}},
	{"encryption", []string{"memory", "filippo.io/age/..."}},
	{".", []string{"store", "memory", "internal/...", "golang.org/x/..."}},
	{"cmd/streamflow/...", []string{"..."}},
	{"examples/clamd", []string{"server/hook"}},
	{"examples/relay", []string{".", "memory", "store", "store/s3store"}},
	{"internal/bucket", []string{"store", "memory", "internal/...", "github.com/minio/minio-go/..."}},
	{"internal/bytesize", nil},
	{"internal/checksum", nil},
	{"internal/detach", nil},
	{"internal/durable", nil},
	{"internal/tree", []string{"github.com/bmatcuk/doublestar/..."}},
	{"internal/readiness", nil},
	{"internal/reload", nil},
	{"internal/s3test", []string{"internal/bucket", "internal/readiness"}},
	{"internal/transport", []string{"store", "memory"}},
	{"internal/journal", []string{"internal/durable", "internal/lock"}},
	{"internal/lock", nil},
	{"internal/uploadid", nil},
}

// testOnly lists what the tests of any package may import besides.
var testOnly = []string{
	"go.uber.org/goleak/...",
	"github.com/prometheus/client_golang/prometheus/testutil/promlint/...",
	"github.com/rogpeppe/go-internal/...",
	"github.com/santhosh-tekuri/jsonschema/...",
	"go.yaml.in/yaml/...",
	"filippo.io/age",
	"github.com/klauspost/compress/zstd",
	"github.com/minio/minio-go/...",
	"golang.org/x/...",
	module + "/...",
}

type goPackage struct {
	ImportPath                         string
	GoFiles                            []string // without tests
	Imports, TestImports, XTestImports []string
}

func TestImports(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			for _, p := range listPackages(t, goos) {
				checkImports(t, p)
			}
		})
	}
}

func checkImports(t *testing.T, p goPackage) {
	allowed, known := allowedImports(p.ImportPath)
	if !known && len(p.GoFiles) > 0 {
		t.Errorf("%s has no row in the table of arrows", p.ImportPath)
		return
	}
	for _, path := range p.Imports {
		if !isStandard(path) && !matchesAny(allowed, path) {
			t.Errorf("%s may not import %s", p.ImportPath, path)
		}
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if !isStandard(path) && !matchesAny(allowed, path) && !matchesAny(testOnly, path) {
			t.Errorf("the tests of %s may not import %s", p.ImportPath, path)
		}
	}
}

// A row nobody matches is a package that went away, or a wrong name.
func TestEveryRowMatches(t *testing.T) {
	packages := listPackages(t, "linux")
	for _, row := range arrows {
		if !slices.ContainsFunc(packages, func(p goPackage) bool { return matches(fullPath(row.from), p.ImportPath) }) {
			t.Errorf("no package matches %s", row.from)
		}
	}
}

// TestDependenciesExplained compares the tables of dependencies.md with the
// direct requirements of go.mod, both ways.
func TestDependenciesExplained(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	decodeOutput(t, goCommand(t, "mod", "edit", "-json"), func(d *json.Decoder) error { return d.Decode(&mod) })
	var required []string
	for _, r := range mod.Require {
		if !r.Indirect {
			required = append(required, r.Path)
		}
	}

	page, err := os.ReadFile(filepath.FromSlash("../../docs/design/dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllSubmatch(page, -1) {
		explained = append(explained, string(row[1]))
	}

	for _, path := range required {
		if !slices.Contains(explained, path) {
			t.Errorf("go.mod requires %s: dependencies.md gives no reason", path)
		}
	}
	for _, path := range explained {
		if !slices.Contains(required, path) {
			t.Errorf("dependencies.md gives a reason for %s: go.mod doesn't require it directly", path)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		want          bool
	}{
		{"a.b/c", "a.b/c", true},
		{"a.b/c", "a.b/c/d", false},
		{"a.b/c/...", "a.b/c", true},
		{"a.b/c/...", "a.b/c/d", true},
		{"a.b/c/...", "a.b/cd", false},
		{"...", "a.b/c", true},
	} {
		if got := matches(test.pattern, test.path); got != test.want {
			t.Errorf("matches(%q, %q) = %t", test.pattern, test.path, got)
		}
	}
}

func allowedImports(importPath string) (allowed []string, known bool) {
	for _, row := range arrows {
		if matches(fullPath(row.from), importPath) {
			for _, to := range row.to {
				allowed = append(allowed, fullPath(to))
			}
			return allowed, true
		}
	}
	return nil, false
}

// fullPath completes a name of the table to an import path or a pattern.
func fullPath(name string) string {
	first, _, _ := strings.Cut(name, "/")
	switch {
	case name == ".":
		return module
	case name == "...", strings.Contains(first, "."):
		return name
	default:
		return module + "/" + name
	}
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, path) })
}

func matches(pattern, path string) bool {
	if pattern == "..." {
		return true
	}
	parent, isTree := strings.CutSuffix(pattern, "/...")
	return path == parent || isTree && strings.HasPrefix(path, parent+"/")
}

func isStandard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func listPackages(t *testing.T, goos string) []goPackage {
	t.Helper()
	cmd := goCommand(t, "list", "-json=ImportPath,GoFiles,Imports,TestImports,XTestImports", module+"/...")
	cmd.Env = append(cmd.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var packages []goPackage
	decodeOutput(t, cmd, func(d *json.Decoder) error {
		for d.More() {
			var p goPackage
			if err := d.Decode(&p); err != nil {
				return err
			}
			packages = append(packages, p)
		}
		return nil
	})
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	return packages
}

func goCommand(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Stderr = t.Output()
	return cmd
}

func decodeOutput(t *testing.T, cmd *exec.Cmd, decode func(*json.Decoder) error) {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	if err := decode(json.NewDecoder(strings.NewReader(string(out)))); err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
}
