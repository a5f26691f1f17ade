package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

func TestExitCode(t *testing.T) {
	retries := func(err error) error { return &streamflow.RetryError{Attempts: 3, Err: err} }
	for name, c := range map[string]struct {
		err  error
		want int
	}{
		"done":                 {nil, 0},
		"anything":             {errors.New("x"), 1},
		"other cancellation":   {context.Canceled, 1},
		"usage":                {&usageError{"streamflow", errors.New("x")}, 2},
		"some failed":          {&partialError{failed: 1, all: 2}, 3},
		"missing source":       {&streamflow.SourceError{Name: "a", Err: fs.ErrNotExist}, 4},
		"missing upload":       {store.ErrNotFound, 4},
		"expired upload":       {store.ErrGone, 4},
		"retries exhausted":    {retries(errors.New("connection refused")), 5},
		"denied":               {store.ErrDenied, 6},
		"checksum":             {store.ErrChecksum, 7},
		"source changed":       {streamflow.ErrSourceChanged, 7},
		"budget":               {&budgetError{errors.New("x")}, 8},
		"memory":               {&memory.LimitError{}, 8},
		"pressure":             {streamflow.ErrPressure, 8},
		"too large":            {store.ErrTooLarge, 8},
		"disk full":            {store.ErrNoSpace, 8},
		"disk full to the end": {retries(store.ErrNoSpace), 8},
		"interrupted":          {errInterrupted, 130},
		"interrupted retries":  {errors.Join(retries(errors.New("x")), errInterrupted), 130},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.err
			if err != nil {
				err = printedError{fmt.Errorf("upload a.iso: %w", err)}
			}
			if got := exitCode(err); got != c.want {
				t.Errorf("exitCode(%v) = %d, want %d", err, got, c.want)
			}
		})
	}
}

func TestPrintErrorEscapes(t *testing.T) {
	var b strings.Builder
	printError(&b, errors.New("upload a\x1b[31m\r.iso: größer"))
	if got, want := b.String(), "streamflow: upload a\\u001b[31m\\u000d.iso: größer\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPrintErrorAdvises(t *testing.T) {
	var b strings.Builder
	printError(&b, &fs.PathError{Op: "open", Path: "a.iso", Err: syscall.EMFILE})
	if want := "; raise the limit of open files (ulimit -n), or lower --concurrency\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("printed %q, want it to end in %q", b.String(), want)
	}
}
