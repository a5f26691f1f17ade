package docs_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	figure = regexp.MustCompile("(?m)^\\|(.*)\\| `make -C bench ([a-z0-9-]+)` \\|$")
	number = regexp.MustCompile(`\d[\d,]*(?:\.\d+)?`)
	// unmeasured takes out numbers that measure nothing.
	unmeasured = strings.NewReplacer("S3", "", "kill -9", "", "tus 1.0", "")
)

// TestFigures looks for every number that a figure of README.md and scale.md shows in
// the section of performance.md that its command made, where it has more digits.
func TestFigures(t *testing.T) {
	performance, err := os.ReadFile("performance.md")
	if err != nil {
		t.Fatal(err)
	}
	measured := make(map[string][]float64) // by command; browser is all of browser-…
	for _, text := range strings.Split(string(performance), "\n### ") {
		if _, after, ok := strings.Cut(text, "`make -C bench "); ok {
			command, _, _ := strings.Cut(after, "`")
			found := numbers(t, text)
			measured[command] = found
			if family, _, ok := strings.Cut(command, "-"); ok {
				measured[family] = append(measured[family], found...)
			}
		}
	}
	for _, page := range []string{"../README.md", "scale.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		rows := figure.FindAllStringSubmatch(string(text), -1)
		if len(rows) == 0 {
			t.Errorf("%s has no figures", page)
		}
		for _, row := range rows {
			for _, shown := range number.FindAllString(unmeasured.Replace(row[1]), -1) {
				if !rounds(measured[row[2]], strings.ReplaceAll(shown, ",", "")) {
					t.Errorf("%s: make -C bench %s has not measured %s", page, row[2], shown)
				}
			}
		}
	}
}

func numbers(t *testing.T, text string) []float64 {
	t.Helper()
	var found []float64
	for _, s := range number.FindAllString(text, -1) {
		n, err := strconv.ParseFloat(strings.ReplaceAll(s, ",", ""), 64)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, n)
	}
	return found
}

// rounds reports whether shown is one of the numbers, or of their thousandths, with
// fewer digits.
func rounds(measured []float64, shown string) bool {
	_, fraction, _ := strings.Cut(shown, ".")
	for _, n := range measured {
		if strconv.FormatFloat(n, 'f', len(fraction), 64) == shown || strconv.FormatFloat(n/1000, 'f', len(fraction), 64) == shown {
			return true
		}
	}
	return false
}
