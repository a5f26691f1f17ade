package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"
)

// A parser reads a part of a request before anybody knows who makes it. A run of
// its fuzzer ends by a count, batch: up to Go 1.26 one that ends by its clock may
// fail (go.dev/issue/75804).
type parser struct{ reads, pkg, target, batch string }

func parsers() []parser {
	return []parser{
		{"the head of a request", "./server", "FuzzRequest", "20000x"},
		{"metadata", "./protocol/tus", "FuzzMetadata", "500000x"},
		{"structured fields", "./protocol/rufh", "FuzzField", "500000x"},
		{"concatenations", "./protocol/tus", "FuzzConcat", "500000x"},
	}
}

// A fuzzing is what was done to one parser.
type fuzzing struct {
	Target     string  `json:"target"`
	Minutes    float64 `json:"minutes"`
	Executions int64   `json:"executions"`
}

// measureFuzz fuzzes each parser for ten minutes, one on each core. What the fuzzer
// finds it writes below testdata/fuzz, and the figure fails with it.
func measureFuzz(ctx context.Context, b *bench) error {
	each := time.Duration(b.count(10, 1)) * time.Minute
	all := parsers()
	done := make([]fuzzing, len(all))
	err := inParallel(len(all), runtime.NumCPU(), func(i int) (err error) {
		done[i], err = b.fuzz(ctx, all[i], each)
		return err
	})
	if err != nil {
		return err
	}
	b.report.columns("parser", "target", "minutes", "executions")
	for i, f := range done {
		b.report.raw(f)
		b.report.row(all[i].reads, f.Target, f.Minutes, f.Executions)
		b.report.atLeast("minutes of "+f.Target+" without a finding", f.Minutes, each.Minutes())
	}
	return nil
}

func (b *bench) fuzz(ctx context.Context, p parser, least time.Duration) (fuzzing, error) {
	f := fuzzing{Target: p.target}
	start := time.Now()
	for time.Since(start) < least {
		n, err := b.fuzzOnce(ctx, p)
		if err != nil {
			return f, err
		}
		f.Executions += n
	}
	f.Minutes = time.Since(start).Minutes()
	return f, nil
}

var fuzzExecutions = regexp.MustCompile(`execs: (\d+)`)

// fuzzOnce returns how many inputs were tried.
func (b *bench) fuzzOnce(ctx context.Context, p parser) (int64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-fuzz", "^"+p.target+"$", //nolint:gosec // of our own table
		"-fuzztime", p.batch, "-fuzzminimizetime", "10x", "-parallel", "1", p.pkg)
	cmd.Dir = filepath.Dir(b.root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("fuzz %s %s: %w\n%s", p.pkg, p.target, err, out)
	}
	counts := fuzzExecutions.FindAllSubmatch(out, -1)
	if len(counts) == 0 {
		return 0, fmt.Errorf("fuzz %s %s: it doesn't say what it did:\n%s", p.pkg, p.target, out)
	}
	return strconv.ParseInt(string(counts[len(counts)-1][1]), 10, 64)
}
