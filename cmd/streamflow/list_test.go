package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestListingOfADirectoryIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.bin"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	var out strings.Builder
	if err := listFiles(ctx, dir, listing{w: &out}, &out); !errors.Is(err, errInterrupted) || out.Len() > 0 {
		t.Errorf("error is %v, and it lists %q", err, &out)
	}
}
