package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// measureMemory runs the benchmarks of bench/memory often enough for
// benchstat, keeps what both printed, and holds the medians to the targets.
func measureMemory(ctx context.Context, b *bench) error {
	runs, length := b.count(10, 2), "300ms"
	if b.quick {
		length = "50ms"
	}
	cmd := exec.CommandContext(ctx, "go", "test", "./memory", "-run", "^$", "-bench", ".",
		"-count", strconv.Itoa(runs), "-benchtime", length)
	cmd.Dir = b.root
	raw, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the benchmarks: %w\n%s", err, raw)
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

func (c cost) cpu() float64 { return median(c["cpu-ns/op"]) }

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
		b.report.row(name, alone.cpu(), median(alone["allocs/op"]), contended.cpu(), median(contended["ns/op"]))
	}
	if b.quick {
		return
	}
	alone := func(name string) float64 { return costs["Alone/"+name].cpu() }
	contended := func(name string) float64 { return costs["Contended/"+name].cpu() }
	const us, deep = "streamflow-depth1", "streamflow-depth4"
	b.report.atMost("alone, CPU ns", alone(us), 50)
	b.report.atMost("alone, allocations", median(costs["Alone/"+us]["allocs/op"]), 0)
	b.report.atMost("contended over alone", contended(us)/alone(us), 2)
	b.report.atMost("alone over the semaphore", alone(us)/alone("semaphore"), 2)
	b.report.atMost("contended over the semaphore", contended(us)/contended("semaphore"), 2)
	for _, peer := range []string{"rclone", "arrow", "libp2p"} {
		b.report.atMost("alone over "+peer, alone(us)/alone(peer), 1)
		b.report.atMost("contended over "+peer, contended(us)/contended(peer), 1)
	}
	b.report.atMost("depth 4 over depth 1, alone", alone(deep)/alone(us), 1.2)
	b.report.atMost("depth 4 over depth 1, contended", contended(deep)/contended(us), 1.2)
}
