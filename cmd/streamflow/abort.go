package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/store"
)

const (
	abortLong = `Discard unfinished uploads and their bytes at a destination.

IDs are those that list --incomplete shows. Without any, it discards what this
machine has begun there and doesn't send just now; --all adds what others have
begun, where the destination can list that. Nothing that is finished is touched.`

	abortExample = `  streamflow abort /mnt/backup
  streamflow abort https://example.com/files/ https://example.com/files/24e533e02ec3bc40c387f1a0e460e216`
)

type abortFlags struct {
	destination destinationFlags
	memory      memoryFlags
	all         bool
}

func newAbortCommand() *cobra.Command {
	var f abortFlags
	cmd := &cobra.Command{
		Use:     "abort [flags] DESTINATION [ID...]",
		Short:   "Discard unfinished uploads",
		Long:    abortLong,
		Example: abortExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd, "want a DESTINATION")
			}
			return nil
		},
		RunE:                  func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1:]) },
		DisableFlagsInUseLine: true,
	}
	g := newFlagGroup("Abort")
	g.flags.BoolVar(&f.all, "all", false, "also what others have begun")
	addFlags(cmd, g, f.destination.group(), f.destination.s3.group(), f.memory.group())
	return cmd
}

func (f *abortFlags) run(cmd *cobra.Command, at string, ids []string) (err error) {
	if f.all && len(ids) > 0 {
		return usagef(cmd, "--all leaves no ID to name")
	}
	dst, err := parseExisting(cmd, at)
	if err != nil {
		return err
	}
	s, err := f.destination.open(cmd, dst, &f.memory, logLevel{slog.LevelWarn}, streamflow.Options{})
	if err != nil {
		return err
	}
	defer closing(&err, s)
	if len(ids) == 0 {
		if ids, err = f.found(cmd, s); err != nil {
			return fmt.Errorf("abort at %s: %w", dst, err)
		}
		if len(ids) == 0 {
			fmt.Fprintln(s.console, escapeControls("there is nothing to discard at "+dst.String()))
		}
	}
	var failed tally
	done := 0
	for _, id := range ids {
		err := s.manager.Discard(cmd.Context(), id)
		if err != nil && cmd.Context().Err() != nil {
			return context.Cause(cmd.Context())
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", transport.ShownText(id), err)
			printError(s.console, err)
			failed.add(err)
			continue
		}
		done++
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), id); err != nil {
			return err
		}
	}
	return failed.outcome(done, "uploads were not discarded")
}

// found returns the ids of what is to go where the command line names none.
func (f *abortFlags) found(cmd *cobra.Command, s *session) ([]string, error) {
	uploads := s.manager.Unfinished(cmd.Context())
	if f.all {
		if _, ok := s.store.(store.Lister); !ok {
			return nil, fmt.Errorf("%w: this destination doesn't list what others have begun", store.ErrUnsupported)
		}
		uploads = s.unfinished(cmd.Context())
	}
	var ids []string
	for u, err := range uploads {
		if err != nil {
			return nil, err
		}
		if !errors.Is(u.Err, streamflow.ErrBusy) {
			ids = append(ids, u.Info.ID)
		}
	}
	return ids, nil
}
