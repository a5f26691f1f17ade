package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/streamflow/streamflow/bench/result"
)

const opening = `# Performance

<!-- Made by make -C bench performance. Don't edit: change bench/performance. -->

Each section is one command, its table and its targets, as the run left them in
[bench/results](../bench/results). Processes are measured from outside: memory is
VmHWM of /proc, time is from the start of the process to its end.
[bench/README.md](../bench/README.md) says how each is done.

The machines are small and shared, so times differ from run to run and day to
day. Contenders therefore take turns in one run, and what is held to a target is
the median of the rounds' ratios. The points in a plot are the single rounds.

`

// A section is a figure with what was measured of it.
type section struct {
	figure
	*result.Report
	drawn []plot // those with something to draw
}

// page writes the document.
func page(chapters []chapter, sections map[string]section) string {
	var b strings.Builder
	b.WriteString(opening)
	b.WriteString("## What we lose\n\n")
	b.WriteString(losses(chapters, sections))
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n", c.title)
		for _, f := range c.figures {
			if s, measured := sections[f.name]; measured {
				b.WriteString(s.text())
			}
		}
	}
	return b.String()
}

func (s section) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n%s\n\n`make -C bench %s`, %s\n\n", s.title, s.about, s.name, s.circumstances())
	for _, p := range s.drawn {
		fmt.Fprintf(&b, "![%s](images/performance/%s.svg)\n\n", p.title, p.name)
	}
	b.WriteString(table(s.Columns, s.Rows))
	if len(s.Targets) > 0 {
		rows := make([][]string, len(s.Targets))
		for i, t := range s.Targets {
			met := "yes"
			if !t.Met {
				met = "**no**"
			}
			rows[i] = []string{t.Name, format(t.Value), t.Relation + " " + format(t.Bound), met}
		}
		b.WriteString("\n" + table([]string{"target", "is", "to reach", "met"}, rows))
	}
	for _, note := range s.Notes {
		fmt.Fprintf(&b, "\n%s\n", note)
	}
	return b.String()
}

// circumstances are when, where, and beside what.
func (s section) circumstances() string {
	text := fmt.Sprintf("%s: %d cores of %s, Linux %s, %s", s.Date, s.Machine.Cores, s.Machine.CPU, s.Machine.Kernel, s.Machine.Go)
	for _, name := range slices.Sorted(maps.Keys(s.Versions)) {
		text += fmt.Sprintf(", %s %s", name, s.Versions[name])
	}
	return text
}

func table(columns []string, rows [][]string) string {
	var b strings.Builder
	write := func(cells []string) {
		for _, cell := range cells {
			b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	write(columns)
	b.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	for _, row := range rows {
		write(row)
	}
	return b.String()
}

// losses are the targets that are missed, and every quantity of a plot in which
// somebody is better than ours.
func losses(chapters []chapter, sections map[string]section) string {
	var missed, behind []string
	for _, c := range chapters {
		for _, f := range c.figures {
			s, measured := sections[f.name]
			if !measured {
				continue
			}
			for _, t := range s.Targets {
				if !t.Met {
					missed = append(missed, fmt.Sprintf("- %s, %s: %s, to reach is %s %s", s.title, t.Name, format(t.Value), t.Relation, format(t.Bound)))
				}
			}
			behind = append(behind, s.behind()...)
		}
	}
	text := "Targets that are missed:\n\n" + orNone(missed)
	return text + "\nWhere somebody is ahead of our defaults, met target or not:\n\n" + orNone(behind)
}

func orNone(lines []string) string {
	if len(lines) == 0 {
		return "- none\n"
	}
	return strings.Join(lines, "\n") + "\n"
}

// behind says who is better than our defaults, for each panel of each plot.
func (s section) behind() []string {
	var all []string
	for _, p := range s.plots {
		for _, panel := range p.panels {
			values := bars(s.Report, p, panel)
			us := slices.IndexFunc(values, bar.ours)
			var ahead []string
			for _, b := range values[:max(us, 0)] {
				ahead = append(ahead, fmt.Sprintf("%s %s", b.label, format(b.value)))
			}
			if len(ahead) > 0 {
				all = append(all, fmt.Sprintf("- %s, %s: ours %s %s; %s", p.title, panel.title, format(values[us].value), panel.unit, strings.Join(ahead, ", ")))
			}
		}
	}
	return all
}
