package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/internal/tree"
)

// dryRun says what upload would do. What can't be read is an error at the end,
// and doesn't keep the rest from being told.
func dryRun(ctx context.Context, p plan, console io.Writer, all sources, dst destination) error {
	var failed tally
	var total summary
	for src, err := range all.all() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		switch {
		case errors.Is(err, tree.ErrSkipped):
			printSkipped(console, err)
			continue
		case err != nil:
			p.failed(src.path, err)
			printError(console, err)
			failed.add(err)
			continue
		}
		total.files++
		total.bytes += max(0, src.size)
		if err := p.would(src, src.name+all.extension, dst.String()); err != nil {
			return err
		}
	}
	total.failed = failed.failed
	err := p.close(total)
	if err = cmp.Or(failed.outcome(total.files, "files can't be uploaded"), err); err == nil {
		return nil
	}
	printError(console, err)
	return printedError{err} // nothing follows the summary
}

// A plan is how a dry run tells what it finds.
type plan interface {
	would(src source, name, destination string) error
	failed(path string, err error)
	close(summary) error
}

func (f *uploadFlags) plan(stdout io.Writer) plan {
	if f.asJSON() {
		return jsonPlan{newJSONProgress(stdout)}
	}
	return textPlan{stdout}
}

// A textPlan is for people. What fails is on the console.
type textPlan struct{ w io.Writer }

func (p textPlan) would(src source, name, destination string) error {
	amount := "what comes"
	if !src.stdin() {
		amount = bytesize.Format(src.size)
	}
	_, err := fmt.Fprintf(p.w, "would upload %s (%s) as %s to %s\n", src.path, amount, name, destination)
	return err
}

func (textPlan) failed(string, error) {}
func (textPlan) close(summary) error  { return nil }

// A jsonPlan writes JSON Lines.
type jsonPlan struct{ *jsonProgress }

type plannedMessage struct {
	message
	Status      string `json:"status"`
	Path        string `json:"path"`
	Destination string `json:"destination"`
	TotalBytes  *int64 `json:"total_bytes"`
}

func (p jsonPlan) would(src source, name, destination string) error {
	return p.out.Encode(plannedMessage{message{"status", name}, "planned", src.path, destination, known(src.size)})
}

func (p jsonPlan) failed(path string, err error) { p.jsonProgress.failed(path, nil, err) }
