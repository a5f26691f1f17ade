package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/streamflow/streamflow/bench/result"
)

// A bar is one contender's value, and those of its runs.
type bar struct {
	label string
	value float64
	runs  []float64
}

func (b bar) ours() bool { return strings.HasPrefix(b.label, "streamflow") }

// records are the single measurements, or the rows, as fields.
func records(r *result.Report) []map[string]any {
	var all []map[string]any
	for _, one := range r.Raw {
		if fields, ok := one.(map[string]any); ok {
			all = append(all, fields)
		}
	}
	if len(all) > 0 {
		return all
	}
	for _, row := range r.Rows {
		fields := map[string]any{}
		for i, cell := range row {
			fields[r.Columns[i]] = cell
		}
		all = append(all, fields)
	}
	return all
}

func matches(record map[string]any, where map[string]string) bool {
	for field, want := range where {
		if text(record[field]) != want {
			return false
		}
	}
	return true
}

func text(v any) string {
	switch v := v.(type) {
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case string:
		n, err := strconv.ParseFloat(v, 64)
		return n, err == nil
	default:
		return 0, false
	}
}

// bars are the panel's values, the best first.
func bars(r *result.Report, p plot, panel panel) []bar {
	var all []bar
	for _, record := range records(r) {
		label, named := record[p.group].(string)
		value, ok := number(record[panel.field])
		if !named || !ok || !matches(record, p.where) {
			continue
		}
		i := slices.IndexFunc(all, func(b bar) bool { return b.label == label })
		if i < 0 {
			i = len(all)
			all = append(all, bar{label: label})
		}
		all[i].runs = append(all[i].runs, value)
	}
	for i := range all {
		all[i].value = result.Median(all[i].runs)
		if panel.most {
			all[i].value = slices.Max(all[i].runs)
		}
	}
	slices.SortStableFunc(all, func(a, b bar) int {
		if panel.more {
			a, b = b, a
		}
		return cmp.Compare(a.value, b.value)
	})
	return all
}

// A line is one series, in its own unit.
type line struct {
	label  string
	values []float64
}

// lines are the series of a plot in MiB.
func lines(r *result.Report, p plot) []line {
	var all []line
	for _, s := range p.series {
		for _, record := range records(r) {
			values, ok := record[s.field].([]any)
			if !ok || !matches(record, s.where) {
				continue
			}
			l := line{label: s.title}
			for _, v := range values {
				if n, ok := number(v); ok {
					l.values = append(l.values, n/(1<<20))
				}
			}
			if len(l.values) > 1 {
				all = append(all, l)
			}
		}
	}
	return all
}

// format writes a number as briefly as its size allows.
func format(v float64) string {
	switch {
	case v == float64(int64(v)) && v < 1e15:
		return strconv.FormatInt(int64(v), 10)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
