package main

import "testing"

func TestSmallestBudget(t *testing.T) {
	for said, want := range map[string]int64{
		"upload -: a chunk of 64MiB doesn't fit the memory budget: the smallest that works is --max-memory 84MiB, or take": 84 * mib,
		"needs at least 70000000 bytes": 70000000,
		"the smallest is 1.5 GiB":       3 * gib / 2,
	} {
		got, err := smallestBudget(said)
		if err != nil || got != want {
			t.Errorf("smallestBudget(%q) = %d, %v, want %d", said, got, err, want)
		}
	}
	if _, err := smallestBudget("a chunk of 64MiB doesn't fit"); err == nil {
		t.Error("a budget was found where none is named")
	}
}
