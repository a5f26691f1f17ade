package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/server/auth"
)

const (
	tokenLong = `Make a token for "streamflow serve --token-file".

It prints two lines: the secret for the client, as "upload --token-file" reads
it, and the line for the server's file, which has only a hash of it. With
--token-file it appends that line itself and prints the secret alone. A running
server knows the token a second later.

SCOPES are create, append, read and delete, each for uploads of the same OWNER,
and admin: all of that for everybody's uploads, and a look into the server.`

	tokenExample = `  streamflow token alice
  streamflow token alice --expires 720h --token-file /etc/streamflow/tokens >alice.token
  streamflow token prometheus --scopes admin`
)

type tokenFlags struct {
	scopes  scopes
	expires time.Duration
	file    string
}

func newTokenCommand() *cobra.Command {
	f := tokenFlags{scopes: scopes{auth.Create | auth.Append}}
	cmd := &cobra.Command{
		Use:                   "token [flags] OWNER",
		Short:                 "Make an access token for the server",
		Long:                  tokenLong,
		Example:               tokenExample,
		Args:                  one("OWNER"),
		RunE:                  func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
		DisableFlagsInUseLine: true,
	}
	g := newFlagGroup("Token")
	g.flags.Var(&f.scopes, "scopes", "what it is good for: create, append, read, delete, admin")
	g.flags.DurationVar(&f.expires, "expires", 0, "time from now that it is good for; 0 is for ever")
	g.flags.StringVar(&f.file, "token-file", "", "the server's file, to append the line to; made if missing")
	addFlags(cmd, g)
	return cmd
}

func (f *tokenFlags) run(cmd *cobra.Command, owner string) error {
	if f.expires < 0 {
		return usagef(cmd, "--expires %v: want more than 0, or 0 for ever", f.expires)
	}
	var expires time.Time
	if f.expires > 0 {
		expires = time.Now().Add(f.expires)
	}
	token, secret, err := auth.NewToken(owner, f.scopes.Scopes, expires)
	if err != nil {
		return usagef(cmd, "%w", err)
	}
	if f.file == "" {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", secret, token)
		return err
	}
	if err := appendLine(f.file, token.String()); err != nil {
		return fmt.Errorf("--token-file: %w", err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), secret)
	return err
}

// appendLine adds a line to a file, also after a last line without an end.
func appendLine(path, line string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		line = "\n" + line
	}
	_, err = f.WriteString(line + "\n")
	return err
}

// scopes is the value of --scopes.
type scopes struct{ auth.Scopes }

func (s *scopes) Set(text string) (err error) {
	s.Scopes, err = auth.ParseScopes(text)
	return err
}

func (s *scopes) Type() string { return "scope,..." }
