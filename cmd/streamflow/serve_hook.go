package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store"
)

// hookPatience is how long the end of the server waits for deliveries under way.
const hookPatience = 5 * time.Second

// hookFlags are about the programs that are asked and told of uploads.
type hookFlags struct {
	targets    []string
	events     choices
	timeout    time.Duration
	secretFile string
	headers    []string
	outbox     string
}

func (f *hookFlags) group() flagGroup {
	for _, event := range hook.Events() {
		f.events.of = append(f.events.of, string(event))
		if event != hook.PostReceive {
			f.events.chosen = append(f.events.chosen, string(event))
		}
	}
	g := newFlagGroup("Hooks")
	g.flags.StringArrayVar(&f.targets, "hook", nil, "`URL|EXECUTABLE` that is asked and told of uploads; may be repeated")
	g.flags.Var(&f.events, "hook-events", "`EVENTS` that hooks hear of; post-receive is one more")
	g.flags.DurationVar(&f.timeout, "hook-timeout", 30*time.Second, "time for one call of a hook")
	g.flags.StringVar(&f.secretFile, "hook-secret-file", "", "`FILE` with the secret (whsec_…) that signs what goes to URLs")
	g.flags.StringArrayVar(&f.headers, "hook-header", nil, "`NAME` of a request header that hooks get to see; may be repeated")
	g.flags.StringVar(&f.outbox, "hook-outbox", "", "`DIR` for what hooks were not told yet (default within the directory of --store)")
	return g
}

func (f *hookFlags) check(cmd *cobra.Command, defaultOutbox string) error {
	switch {
	case f.timeout <= 0:
		return usagef(cmd, "--hook-timeout %v: want more than 0", f.timeout)
	case len(f.targets) > 0 && f.outbox == "" && defaultOutbox == "":
		return usagef(cmd, "--hook: with a bucket, --hook-outbox must say where messages wait that hooks were not told yet")
	}
	return nil
}

// open returns the hooks, or nil where there are none, and what closes them.
func (f *hookFlags) open(ctx context.Context, defaultOutbox string, st store.Store, mem *memory.Manager, logger *slog.Logger) (*hook.Hooks, func() error, error) {
	if len(f.targets) == 0 {
		return nil, func() error { return nil }, nil
	}
	opts := &hook.Options{Timeout: f.timeout, Headers: f.headers, Logger: logger}
	for _, event := range f.events.chosen {
		opts.Events = append(opts.Events, hook.Event(event))
	}
	if f.secretFile != "" {
		text, err := os.ReadFile(f.secretFile)
		if err != nil {
			return nil, nil, fmt.Errorf("--hook-secret-file: %w", err)
		}
		if opts.Secret, err = hook.ParseSecret(string(text)); err != nil {
			return nil, nil, fmt.Errorf("--hook-secret-file %s: %w", f.secretFile, err)
		}
	}
	hooks, err := hook.Open(ctx, f.targets, cmp.Or(f.outbox, defaultOutbox), st, mem, opts)
	if err != nil {
		return nil, nil, fmt.Errorf("--hook: %w", err)
	}
	return hooks, func() error {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), hookPatience)
		defer cancel()
		return hooks.Close(ending)
	}, nil
}
