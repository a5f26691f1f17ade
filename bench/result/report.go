// Package result is what a figure leaves behind: the command figures writes it
// and the command performance reads it.
package result

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// A Report is one table, the targets it is held to, and what to know about the
// run to read it.
type Report struct {
	Figure string `json:"figure"`
	Date   string `json:"date"` // of the run, as 2006-01-02
	Quick  bool   `json:"quick"`
	Seed   uint64 `json:"seed"`
	// Versions of the programs that were measured beside ours.
	Versions map[string]string `json:"versions,omitempty"`
	Machine  Machine           `json:"machine"`
	Columns  []string          `json:"columns"`
	Rows     [][]string        `json:"rows"`
	Targets  []Target          `json:"targets"`
	Notes    []string          `json:"notes,omitempty"`
	// Raw are the single measurements behind the rows.
	Raw []any `json:"raw,omitempty"`
}

// A Machine is where the figure was measured.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
}

// A Target holds where Value Relation Bound does.
type Target struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"`
	Relation string  `json:"relation"` // "≤" or "≥"
	Bound    float64 `json:"bound"`
	Met      bool    `json:"met"`
}

// Write keeps the report in a file.
func (r *Report) Write(path string) error {
	content, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if err := os.WriteFile(path, append(content, '\n'), 0o644); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	return nil
}

// Read returns the report of a file.
func Read(path string) (*Report, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read a report: %w", err)
	}
	var r Report
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("read the report %s: %w", path, err)
	}
	return &r, nil
}

// Median of at least one value.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
