package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/streamflow/streamflow/bench/result"
)

// measureMemory runs the benchmarks of bench/memory often enough for
// benchstat, keeps what both printed, and holds the medians to the targets.
func measureMemory(ctx context.Context, b *bench) error {
	raw, err := b.benchmark(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.results, 0o755); err != nil {
		return fmt.Errorf("make the results directory: %w", err)
	}
	file := filepath.Join(b.results, "memory.txt")
	if err := os.WriteFile(file, raw, 0o644); err != nil {
		return fmt.Errorf("keep the benchmarks: %w", err)
	}
	if err := b.summarize(ctx, file); err != nil {
		return err
	}
	costs, err := parseCosts(raw)
	if err != nil {
		return err
	}
	b.reportCosts(costs)
	return nil
}

// benchmark runs every contender once in each round: a machine that gets
// slower for a while does so for all of them.
func (b *bench) benchmark(ctx context.Context) ([]byte, error) {
	rounds, length := b.count(20, 2), "150ms"
	if b.quick {
		length = "50ms"
	}
	binary := filepath.Join(b.work, "memory.test")
	if err := command(ctx, b.root, "go", "test", "-c", "-o", binary, "./memory"); err != nil {
		return nil, err
	}
	var raw []byte
	for range rounds {
		cmd := exec.CommandContext(ctx, binary, "-test.run", "^$", "-test.bench", ".", "-test.benchtime", length)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("run the benchmarks: %w\n%s", err, out)
		}
		raw = append(raw, out...)
	}
	return raw, nil
}

// summarize lets benchstat write its table beside the raw file.
func (b *bench) summarize(ctx context.Context, file string) error {
	cmd := exec.CommandContext(ctx, "go", "tool", "benchstat", file)
	cmd.Dir = filepath.Join(filepath.Dir(b.root), "tools") // where its version is pinned
	table, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("summarize with benchstat: %w", err)
	}
	// The path of the checkout is no part of the result.
	table = bytes.ReplaceAll(table, []byte(file), []byte(filepath.Base(file)))
	if err := os.WriteFile(strings.TrimSuffix(file, ".txt")+"-benchstat.txt", table, 0o644); err != nil {
		return fmt.Errorf("keep the summary: %w", err)
	}
	return nil
}

// cost of a cycle, by unit: "cpu-ns/op" and so on.
type cost map[string][]float64

func (c cost) cpu() float64 { return result.Median(c["cpu-ns/op"]) }

// over is the median of the rounds' ratios.
func (c cost) over(other cost) float64 {
	ratios := make([]float64, len(c["cpu-ns/op"]))
	for i, ns := range c["cpu-ns/op"] {
		ratios[i] = ns / other["cpu-ns/op"][i]
	}
	return result.Median(ratios)
}

// parseCosts returns the costs by benchmark, such as "Alone/semaphore".
func parseCosts(raw []byte) (map[string]cost, error) {
	costs := map[string]cost{}
	reader := benchfmt.NewReader(bytes.NewReader(raw), "memory.txt")
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		base, parts := result.Name.Parts()
		name := string(base)
		if len(parts) > 0 {
			name += string(parts[0])
		}
		if costs[name] == nil {
			costs[name] = cost{}
		}
		for _, value := range result.Values {
			unit, number := value.Unit, value.Value
			if value.OrigUnit != "" {
				unit, number = value.OrigUnit, value.OrigValue
			}
			costs[name][unit] = append(costs[name][unit], number)
		}
	}
	if err := reader.Err(); err != nil {
		return nil, fmt.Errorf("read the benchmarks: %w", err)
	}
	return costs, nil
}

func (b *bench) reportCosts(costs map[string]cost) {
	b.report.columns("contender", "alone CPU ns", "alone allocs", "8 goroutines CPU ns", "8 goroutines wall ns")
	for _, name := range []string{"streamflow-depth1", "streamflow-depth4", "semaphore", "rclone", "arrow", "libp2p", "make"} {
		alone, contended := costs["Alone/"+name], costs["Contended/"+name]
		b.report.row(name, alone.cpu(), result.Median(alone["allocs/op"]), contended.cpu(), result.Median(contended["ns/op"]))
	}
	if b.quick {
		return
	}
	alone := func(name string) cost { return costs["Alone/"+name] }
	contended := func(name string) cost { return costs["Contended/"+name] }
	const us, deep = "streamflow-depth1", "streamflow-depth4"
	b.report.atMost("alone, CPU ns", alone(us).cpu(), 50)
	b.report.atMost("alone, allocations", result.Median(alone(us)["allocs/op"]), 0)
	b.report.atMost("contended over alone", contended(us).over(alone(us)), 2)
	b.report.atMost("alone over the semaphore", alone(us).over(alone("semaphore")), 2)
	b.report.atMost("contended over the semaphore", contended(us).over(contended("semaphore")), 2)
	for _, peer := range []string{"rclone", "arrow", "libp2p"} {
		b.report.atMost("alone over "+peer, alone(us).over(alone(peer)), 1)
		b.report.atMost("contended over "+peer, contended(us).over(contended(peer)), 1)
	}
	b.report.atMost("depth 4 over depth 1, alone", alone(deep).over(alone(us)), 1.2)
	b.report.atMost("depth 4 over depth 1, contended", contended(deep).over(contended(us)), 1.2)
}
