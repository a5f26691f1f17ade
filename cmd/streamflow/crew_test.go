package main

import (
	"testing"
	"time"
)

func TestCrew(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		given   count
		budget  int64
		took    func(atOnce, file int) time.Duration
		workers int
	}{
		"a far server": {0, 64 * mib, func(int, int) time.Duration { return 20 * time.Millisecond }, 146},
		"a far server, after connecting": {0, 64 * mib, func(_, file int) time.Duration {
			if file < 96 {
				return 100 * time.Millisecond
			}
			return 20 * time.Millisecond
		}, 146},
		// What more are at once only wait for longer.
		"a busy server": {0, 64 * mib, func(atOnce, file int) time.Duration {
			return time.Millisecond * time.Duration(1+file%atOnce)
		}, 96},
		// Twice as many take twice as long there.
		"a far server that is soon busy": {0, 1024 * mib, func(atOnce, _ int) time.Duration {
			return time.Duration(max(atOnce, 96)) * time.Millisecond / 4
		}, 200},
		"large files between small ones": {0, 64 * mib, func(_, file int) time.Duration {
			return time.Millisecond * time.Duration(20+file%4*200)
		}, 96},
		"a small budget": {0, 12 * mib, func(int, int) time.Duration { return time.Second }, 27},
		"hardly any":     {0, mib, func(int, int) time.Duration { return time.Second }, 4},
		"a large one":    {0, 1024 * mib, func(int, int) time.Duration { return time.Second }, 256},
		"as given":       {300, 64 * mib, func(int, int) time.Duration { return time.Second }, 300},
		"one":            {1, 64 * mib, func(int, int) time.Duration { return time.Second }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			crew := newCrew(c.given, c.budget)
			workers := 0
			for file := range 10_000 {
				if crew.grow() {
					workers++
				}
				if file >= workers {
					crew.note(c.took(workers, file))
				}
			}
			if workers != c.workers {
				t.Errorf("%d files at once, want %d", workers, c.workers)
			}
		})
	}
}

// Before answers have come nobody can say that they take long.
func TestCrewBegins(t *testing.T) {
	crew := newCrew(0, 64<<20)
	for range 1000 {
		crew.grow()
	}
	if crew.begun != 96 {
		t.Errorf("%d files at once", crew.begun)
	}
}
