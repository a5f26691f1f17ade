// Command performance makes docs/performance.md and its plots from the results
// that lie in bench/results: make -C bench performance, or go generate.
package main

//go:generate go run .

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/streamflow/streamflow/bench/result"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "performance:", err)
		os.Exit(1)
	}
}

func run() error {
	bench, err := moduleRoot()
	if err != nil {
		return err
	}
	docs := filepath.Join(filepath.Dir(bench), "docs")
	chapters := catalog()
	sections, err := read(filepath.Join(bench, "results"), chapters)
	if err != nil {
		return err
	}
	images := filepath.Join(docs, "images", "performance")
	if err := errors.Join(os.RemoveAll(images), os.MkdirAll(images, 0o755)); err != nil {
		return err
	}
	for name, s := range sections {
		if s.drawn, err = draw(images, s); err != nil {
			return err
		}
		sections[name] = s
	}
	return os.WriteFile(filepath.Join(docs, "performance.md"), []byte(page(chapters, sections)), 0o644)
}

// moduleRoot is the directory of bench/go.mod, above this one.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil || filepath.Dir(dir) == dir {
			return dir, err
		}
	}
}

// read returns the results by the name of their figure. One that the catalog
// doesn't have would be left out unseen, so it is an error.
func read(dir string, chapters []chapter) (map[string]section, error) {
	known := map[string]figure{}
	for _, c := range chapters {
		for _, f := range c.figures {
			known[f.name] = f
		}
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	sections := map[string]section{}
	for _, path := range paths {
		r, err := result.Read(path)
		if err != nil {
			return nil, err
		}
		f, found := known[r.Figure]
		if !found || strings.TrimSuffix(filepath.Base(path), ".json") != r.Figure {
			return nil, fmt.Errorf("%s is no figure of the catalog: add it to bench/performance/catalog.go", path)
		}
		sections[r.Figure] = section{figure: f, Report: r}
	}
	return sections, nil
}

// draw writes the plots that there is something to draw for, and returns them.
func draw(dir string, s section) ([]plot, error) {
	var drawn []plot
	for _, p := range s.plots {
		var svg string
		if len(p.series) > 0 {
			if all := lines(s.Report, p); len(all) > 0 {
				svg = drawLines(p.title, all)
			}
		} else {
			values := make([][]bar, len(p.panels))
			for i, panel := range p.panels {
				values[i] = bars(s.Report, p, panel)
			}
			if !slices.ContainsFunc(values, func(bars []bar) bool { return len(bars) == 0 }) {
				svg = drawBars(p.title, p.panels, values)
			}
		}
		if svg == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, p.name+".svg"), []byte(svg), 0o644); err != nil {
			return nil, err
		}
		drawn = append(drawn, p)
	}
	return drawn, nil
}
