package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const rootLong = `Streamflow uploads anything of any size inside a memory budget you choose.

Files and directories, or standard input, go to a directory, to a tus server or to
an S3 bucket; "streamflow serve" is such a server. An upload that was cut off goes
on where it stopped.

Every flag has a variable, STREAMFLOW_MAX_MEMORY for --max-memory, and a key in
the file of --config, max-memory. A flag has precedence over its variable, and
that over the file. --show-config says what holds and where it is from.`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "streamflow",
		Short: "Upload anything of any size inside a memory budget",
		Long:  rootLong,
		Example: `  streamflow serve
  streamflow upload holiday.iso http://127.0.0.1:8080/files/`,
		Args:              cobra.ArbitraryArgs,
		RunE:              noCommand,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return applySettings(cmd.Flags()) },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{cmd.CommandPath(), flagError(err)}
	})
	root.SuggestionsMinimumDistance = 2
	usage := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		if cmd.HasParent() {
			return usage(cmd)
		}
		return rootUsage(cmd)
	})
	root.AddCommand(newUploadCommand(), newServeCommand(), newListCommand(), newAbortCommand(), newCatCommand(), newTokenCommand(), newManCommand(), newVersionCommand())
	addCompletion(root)
	return root
}

func rootUsage(root *cobra.Command) error {
	w := root.OutOrStderr()
	fmt.Fprintf(w, "Usage:\n  streamflow COMMAND\n\nExamples:\n%s\n\nCommands:\n", root.Example)
	for _, cmd := range root.Commands() {
		if cmd.IsAvailableCommand() {
			fmt.Fprintf(w, "  %-*s %s\n", root.NamePadding(), cmd.Name(), cmd.Short)
		}
	}
	fmt.Fprintln(w, "\n\"streamflow COMMAND --help\" says more about a command.")
	return nil
}

// noCommand answers a command line that names no command, or none there is.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef(cmd, "no command given")
	}
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usagef(cmd, "there is no command %q; is it %s?", args[0], strings.Join(near, " or "))
	}
	return usagef(cmd, "there is no command %q", args[0])
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Prints the version of Streamflow, that of Go it was built with, and the system it
was built for: what a report of a bug should say.`,
		Example: `  streamflow version`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "streamflow %s %s %s/%s\n",
				version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef(cmd, "%q is one argument too many", args[0])
	}
	return nil
}

// one wants exactly one argument, called what.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef(cmd, "want one %s", what)
		}
		return nil
	}
}

// groupNote is the annotation of a flag that says under which heading it is.
const groupNote = "group"

// A flagGroup is flags under one heading of a command's help.
type flagGroup struct {
	title string
	flags *pflag.FlagSet
}

func newFlagGroup(title string) flagGroup {
	flags := pflag.NewFlagSet(title, pflag.ContinueOnError)
	flags.SortFlags = false
	return flagGroup{title, flags}
}

// addFlags adds groups to cmd, and shows them apart in its help.
func addFlags(cmd *cobra.Command, groups ...flagGroup) {
	groups = append(groups, configurable(cmd))
	for _, g := range groups {
		cmd.Flags().AddFlagSet(g.flags)
		g.flags.VisitAll(func(f *pflag.Flag) {
			completeWords(cmd, f)
			// It fails for unknown flags only, and f is one of these.
			_ = g.flags.SetAnnotation(f.Name, groupNote, []string{g.title})
		})
	}
	cmd.SetUsageFunc(func(cmd *cobra.Command) error {
		w := cmd.OutOrStderr()
		fmt.Fprintf(w, "Usage:\n  %s\n\nExamples:\n%s\n", cmd.UseLine(), cmd.Example)
		for _, g := range groups {
			fmt.Fprintf(w, "\n%s:\n%s", g.title, g.flags.FlagUsages())
		}
		return nil
	})
}

// completeWords has the shell complete a flag that takes one of a few words.
func completeWords(cmd *cobra.Command, f *pflag.Flag) {
	if v, ok := f.Value.(interface{ words() []string }); ok {
		// It fails for unknown flags only, and f is one of cmd's.
		_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(v.words(), cobra.ShellCompDirectiveNoFileComp))
	}
}
