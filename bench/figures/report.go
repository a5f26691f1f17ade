package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/streamflow/streamflow/bench/result"
)

// A report is a result while it is being measured.
type report struct{ result.Report }

func newReport(figure string, o options) *report {
	return &report{result.Report{
		Figure: figure, Date: time.Now().UTC().Format(time.DateOnly), Quick: o.quick, Seed: o.seed,
		Versions: map[string]string{}, Machine: thisMachine(),
	}}
}

func (r *report) columns(names ...string) { r.Columns = names }

func (r *report) row(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		switch v := cell.(type) {
		case float64:
			row[i] = fmt.Sprintf("%.2f", v)
		default:
			row[i] = fmt.Sprint(v)
		}
	}
	r.Rows = append(r.Rows, row)
}

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *report) raw(v any) { r.Raw = append(r.Raw, v) }

func (r *report) atMost(name string, value, bound float64) {
	r.Targets = append(r.Targets, result.Target{Name: name, Value: value, Relation: "≤", Bound: bound, Met: value <= bound})
}

func (r *report) atLeast(name string, value, bound float64) {
	r.Targets = append(r.Targets, result.Target{Name: name, Value: value, Relation: "≥", Bound: bound, Met: value >= bound})
}

func (r *report) passed() bool {
	return !slices.ContainsFunc(r.Targets, func(t result.Target) bool { return !t.Met })
}

// write prints the report and keeps it as results/FIGURE.json.
func (r *report) write(w io.Writer, results string) error {
	if len(r.Columns) == 0 {
		return nil
	}
	if err := r.print(w); err != nil {
		return err
	}
	if err := os.MkdirAll(results, 0o755); err != nil {
		return fmt.Errorf("make the results directory: %w", err)
	}
	return r.Write(filepath.Join(results, r.Figure+".json"))
}

func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s on %s, %d cores, Linux %s, %s, seed %d\n\n",
		r.Figure, r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.Seed)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join(r.Columns, "\t"))
	for _, row := range r.Rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	fmt.Fprintln(table)
	for _, t := range r.Targets {
		verdict := "pass"
		if !t.Met {
			verdict = "FAIL"
		}
		fmt.Fprintf(table, "%s\t%.2f\t%s %.2f\t%s\n", t.Name, t.Value, t.Relation, t.Bound, verdict)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(table, note)
	}
	return table.Flush()
}

func thisMachine() result.Machine {
	m := result.Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(info), "model name"); found {
			line, _, _ := strings.Cut(rest, "\n")
			m.CPU = strings.Trim(line, "\t: ")
		}
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	return m
}

func inMiB(bytes int64) float64 { return float64(bytes) / mib }
