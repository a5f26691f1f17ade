package main

import "testing"

// TestNodes is the short form of the figure, each time with another seed, which it
// prints.
func TestNodes(t *testing.T) {
	if code := run(t.Context(), []string{"nodes", "-quick", "-dir", t.TempDir()}); code != 0 {
		t.Fatalf("it ended with code %d", code)
	}
}
