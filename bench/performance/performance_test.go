package main

import (
	"strings"
	"testing"

	"github.com/streamflow/streamflow/bench/result"
)

// race is a figure of two rounds in which a peer is faster and takes more.
func race() section {
	run := func(uploader string, speed, peak float64) any {
		return map[string]any{"uploader": uploader, "mib_per_second": speed, "peak_mib": peak}
	}
	return section{
		figure: figure{name: "race", title: "A race", plots: []plot{{name: "race", title: "Race", group: "uploader", panels: speedAndPeak()}}},
		Report: &result.Report{
			Figure: "race", Columns: []string{"uploader"}, Rows: [][]string{{"streamflow"}},
			Raw: []any{run("streamflow", 90, 10), run("peer", 120, 30), run("streamflow", 100, 14), run("peer", 110, 20)},
			Targets: []result.Target{
				{Name: "throughput over peer", Value: 0.83, Relation: "≥", Bound: 1},
				{Name: "peak", Value: 14, Relation: "≤", Bound: 24, Met: true},
			},
		},
	}
}

func TestBarsAreMediansAndPeaksBestFirst(t *testing.T) {
	s := race()
	p := s.plots[0]
	for i, want := range []string{"peer 115, streamflow 95", "streamflow 14, peer 30"} {
		var got []string
		for _, b := range bars(s.Report, p, p.panels[i]) {
			got = append(got, b.label+" "+format(b.value))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %v, want %s", p.panels[i].title, got, want)
		}
	}
}

func TestPageSaysWhatIsLost(t *testing.T) {
	s := race()
	text := page([]chapter{{"Races", []figure{s.figure}}}, map[string]section{"race": s})
	for _, want := range []string{
		"- A race, throughput over peer: 0.83, to reach is ≥ 1\n",
		"- Race, throughput: ours 95 MiB/s; peer 115\n",
		"| throughput over peer | 0.83 | ≥ 1 | **no** |",
		"| peak | 14 | ≤ 24 | yes |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page doesn't say %q:\n%s", want, text)
		}
	}
}
