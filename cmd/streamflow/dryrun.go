package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/internal/tree"
)

// dryRun says what upload would do. What can't be read is an error at the end,
// and doesn't keep the rest from being told.
func dryRun(ctx context.Context, stdout io.Writer, console io.Writer, all sources, dst destination) error {
	var failed tally
	count := 0
	for src, err := range all.all() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case errors.Is(err, tree.ErrSkipped):
			printSkipped(console, err)
			continue
		case err != nil:
			printError(console, err)
			failed.add(err)
			continue
		}
		count++
		amount := "what comes"
		if !src.stdin() {
			amount = bytesize.Format(src.size)
		}
		if _, err := fmt.Fprintf(stdout, "would upload %s (%s) as %s to %s\n", src.path, amount, src.name+all.extension, dst.name); err != nil {
			return err
		}
	}
	return failed.outcome(count)
}
