package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

var (
	named   = regexp.MustCompile("(?m)(?:^|[\\s`(|])--([a-z][a-z0-9-]+)")
	defined = regexp.MustCompile(`(?m)^ {6}--([a-z0-9-]+)`)
)

// TestFlags compares the flags that the documents name with those that the
// program has: all of these exist, and each is in one of the documents.
func TestFlags(t *testing.T) {
	program := build(t)
	flags := func(command string) []string {
		help, err := exec.CommandContext(t.Context(), program, command, "--help").Output()
		if err != nil {
			t.Fatalf("%s --help: %v", command, err)
		}
		found := submatches(defined, string(help))
		if len(found) == 0 {
			t.Fatalf("%s --help shows no flags", command)
		}
		return found
	}
	exist := slices.Concat(flags("serve"), flags("upload"), flags("list"), flags("abort"), flags("cat"), flags("token"), []string{"help"})
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, page := range append(pages, "../README.md", "../SECURITY.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range submatches(named, string(text)) {
			documented = append(documented, flag)
			if !slices.Contains(exist, flag) {
				t.Errorf("%s names --%s, which no command has", page, flag)
			}
		}
	}
	for _, flag := range exist {
		if !slices.Contains(documented, flag) {
			t.Errorf("no document names --%s", flag)
		}
	}
}

func build(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "streamflow")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/streamflow").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

func submatches(pattern *regexp.Regexp, text string) []string {
	var found []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	return found
}
