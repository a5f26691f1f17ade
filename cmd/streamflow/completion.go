package main

import "github.com/spf13/cobra"

// addCompletion adds the commands that cobra makes by itself, with examples. A
// command there isn't is an error in them, too.
func addCompletion(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, e := range []struct {
		command []string
		example string
	}{
		{[]string{"help"}, "  streamflow help upload"},
		{[]string{"completion"}, `  source <(streamflow completion bash)
  streamflow completion zsh > "${fpath[1]}/_streamflow"`},
		{[]string{"completion", "bash"}, "  streamflow completion bash > /etc/bash_completion.d/streamflow"},
		{[]string{"completion", "zsh"}, `  streamflow completion zsh > "${fpath[1]}/_streamflow"`},
		{[]string{"completion", "fish"}, "  streamflow completion fish > ~/.config/fish/completions/streamflow.fish"},
		{[]string{"completion", "powershell"}, "  streamflow completion powershell | Out-String | Invoke-Expression"},
	} {
		if cmd, rest, err := root.Find(e.command); err == nil && len(rest) == 0 {
			cmd.Example = e.example
			if e.command[0] == "help" {
				cmd.Run, cmd.RunE = nil, help
			} else if cmd.HasSubCommands() {
				cmd.Args, cmd.RunE = cobra.ArbitraryArgs, noCommand
			} else {
				cmd.Args = noArguments
			}
		}
	}
}

func help(cmd *cobra.Command, args []string) error {
	about, rest, err := cmd.Root().Find(args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return noCommand(about, rest)
	}
	about.InitDefaultHelpFlag()
	return about.Help()
}
