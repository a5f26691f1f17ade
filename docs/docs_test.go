// Package docs_test holds the examples of the documents to what compiles and
// runs.
package docs_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "copy the examples of guide_test.go into guide.md")

var (
	function = regexp.MustCompile(`(?ms)^func (Example_\w+)\(\) \{\n(.*?)^\}$`)
	output   = regexp.MustCompile(`(?ms)^// (Unordered output|Output):.*\z`)
	block    = regexp.MustCompile("(?ms)^<!-- (Example_\\w+) -->\n```go\n(.*?)^```$")
)

// TestGuide compares each example in guide.md with the function of its name,
// which the tests run.
func TestGuide(t *testing.T) {
	source, err := os.ReadFile("guide_test.go")
	if err != nil {
		t.Fatal(err)
	}
	bodies := make(map[string]string)
	for _, m := range function.FindAllStringSubmatch(string(source), -1) {
		body := output.ReplaceAllString(strings.ReplaceAll("\n"+m[2], "\n\t", "\n"), "")
		bodies[m[1]] = strings.TrimSpace(body) + "\n"
	}
	guide, err := os.ReadFile("guide.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[string]bool)
	fresh := block.ReplaceAllStringFunc(string(guide), func(found string) string {
		m := block.FindStringSubmatch(found)
		shown[m[1]] = true
		if bodies[m[1]] == "" {
			t.Errorf("guide.md shows %s, which guide_test.go doesn't have", m[1])
		} else if bodies[m[1]] != m[2] && !*update {
			t.Errorf("%s in guide.md is not what guide_test.go runs: go test ./docs -update", m[1])
		}
		return "<!-- " + m[1] + " -->\n```go\n" + bodies[m[1]] + "```"
	})
	for name := range bodies {
		if !shown[name] {
			t.Errorf("guide.md doesn't show %s", name)
		}
	}
	if strings.Count(string(guide), "```go\n") != len(shown) {
		t.Error("guide.md shows Go code that is not an example")
	}
	if *update && !t.Failed() {
		if err := os.WriteFile("guide.md", []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
