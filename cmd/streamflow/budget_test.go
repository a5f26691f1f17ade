package main

import (
	"errors"
	"testing"

	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/memory/machine"
)

func TestBudget(t *testing.T) {
	const none = -1
	for name, c := range map[string]struct {
		text      string
		available int64
		source    machine.Origin
		want      int64
	}{
		"size":                          {"64MiB", none, "", 64 * bytesize.MiB},
		"smallest":                      {"32MiB", none, "", 32 * bytesize.MiB},
		"bare bytes":                    {"33554432", none, "", 32 * bytesize.MiB},
		"under the smallest":            {"33554431", none, "", 0},
		"zero":                          {"0", none, "", 0},
		"auto in a container":           {"auto", 100 * bytesize.MiB, machine.Container, 80 * bytesize.MiB},
		"auto on a machine":             {"auto", 8 * bytesize.GiB, machine.Machine, 2 * bytesize.GiB},
		"auto in a tiny container":      {"auto", 39 * bytesize.MiB, machine.Container, 0},
		"percentage of a container":     {"75%", 100 * bytesize.MiB, machine.Container, 75 * bytesize.MiB},
		"percentage of a machine":       {"12.5%", 8 * bytesize.GiB, machine.Machine, bytesize.GiB},
		"percentage that is too little": {"10%", 100 * bytesize.MiB, machine.Machine, 0},
		"all":                           {"100%", 64 * bytesize.MiB, machine.Container, 64 * bytesize.MiB},
	} {
		t.Run(name, func(t *testing.T) {
			var b budget
			if err := b.Set(c.text); err != nil {
				t.Fatal(err)
			}
			got, err := b.resolve(func() (int64, machine.Origin, error) {
				if c.available == none {
					t.Error("the limit was asked for")
				}
				return c.available, c.source, nil
			})
			var tooSmall *budgetError
			if c.want == 0 && !errors.As(err, &tooSmall) {
				t.Fatalf("resolve = %d, %v; want a refusal", got, err)
			}
			if c.want > 0 && (err != nil || got != c.want) {
				t.Errorf("resolve = %d, %v; want %d", got, err, c.want)
			}
		})
	}
}

func TestBudgetWithoutLimit(t *testing.T) {
	b := budget{text: "auto", auto: true}
	broken := errors.New("no /proc")
	if got, err := b.resolve(func() (int64, machine.Origin, error) { return 0, "", broken }); !errors.Is(err, broken) {
		t.Errorf("resolve = %d, %v; want %v", got, err, broken)
	}
}
