package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	manLong = `Write the man pages to a directory, one for each command.

They say what --help says. "man -l FILE" shows one; man finds those in
/usr/local/share/man/man1.`

	manExample = `  streamflow man /usr/local/share/man/man1`
)

func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIRECTORY",
		Short:   "Write the man pages",
		Long:    manLong,
		Example: manExample,
		Args:    one("DIRECTORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o777); err != nil {
				return fmt.Errorf("write the man pages: %w", err)
			}
			return writeManPages(cmd.Root(), args[0])
		},
	}
}

// writeManPages writes the pages of cmd and all commands below.
func writeManPages(cmd *cobra.Command, dir string) error {
	file := filepath.Join(dir, pageName(cmd)+".1")
	if err := os.WriteFile(file, manPage(cmd), 0o666); err != nil {
		return fmt.Errorf("write the man pages: %w", err)
	}
	for _, sub := range documented(cmd) {
		if err := writeManPages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// documented are the commands below cmd that have a page. Those of completion,
// one for each shell, say no more than its own.
func documented(cmd *cobra.Command) []*cobra.Command {
	if cmd.Name() == "completion" {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(cmd.Commands()), func(sub *cobra.Command) bool {
		return !sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand()
	})
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage is the help of a command in man(7). It isn't made by way of Markdown, as
// cobra's is, because patterns like a/**/b would come out as emphasis.
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, ".TH %q 1 \"\" %q \"Streamflow\"\n", strings.ToUpper(pageName(cmd)), "streamflow "+version())
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	synopsis := cmd.UseLine()
	if !cmd.HasParent() {
		synopsis += " COMMAND"
	}
	fmt.Fprintf(&b, ".SH SYNOPSIS\n%s\n.SH DESCRIPTION\n", roff(synopsis))
	for _, paragraph := range strings.Split(strings.TrimSpace(cmd.Long), "\n\n") {
		fmt.Fprintf(&b, ".PP\n%s\n", roff(paragraph))
	}
	manFlags(&b, cmd.Flags())
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	var also []string
	if cmd.HasParent() {
		also = append(also, pageName(cmd.Parent()))
	}
	for _, sub := range documented(cmd) {
		also = append(also, pageName(sub))
	}
	if len(also) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s(1)\n", roff(strings.Join(also, "(1), ")))
	}
	return b.Bytes()
}

// manFlags writes flags under the headings that they have in the help.
func manFlags(b *bytes.Buffer, flags *pflag.FlagSet) {
	flags.SortFlags = false
	title := ""
	flags.VisitAll(func(f *pflag.Flag) {
		at := f.Annotations[groupNote]
		if len(at) == 0 || f.Hidden {
			return
		}
		if title != at[0] {
			title = at[0]
			fmt.Fprintf(b, ".SH %s\n", strings.ToUpper(roff(title)))
		}
		value, usage := pflag.UnquoteUsage(f)
		if f.NoOptDefVal != "" && f.Value.Type() != "bool" {
			value = "[=" + value + "]"
		}
		if !slices.Contains([]string{"", "0", "0s", "[]", "false"}, f.DefValue) {
			usage += " (default " + f.DefValue + ")"
		}
		if value != "" {
			value = ` \fI` + roff(value) + `\fR`
		}
		fmt.Fprintf(b, ".TP\n\\fB\\-\\-%s\\fR%s\n%s\n", roff(f.Name), value, roff(usage))
	})
}

// roff escapes what means something to man.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	var b strings.Builder
	for _, r := range strings.Join(lines, "\n") {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, r)
		}
	}
	return b.String()
}
