package main

import "github.com/spf13/cobra"

// addCompletion adds the commands that cobra makes by itself, with examples.
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
		}
	}
}
