package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
)

// authFlags say who may use the server.
type authFlags struct {
	tokenFile string
	keyFile   string
	insecure  bool
}

func (f *authFlags) group() flagGroup {
	g := newFlagGroup("Access")
	g.flags.StringVar(&f.tokenFile, "token-file", "", "`FILE` of tokens that requests must bear; streamflow token makes them")
	g.flags.StringVar(&f.keyFile, "url-key-file", "", "`FILE` of keys; a URL that one of them signed is good for one upload")
	g.flags.BoolVar(&f.insecure, "insecure", false, "listen on other addresses than loopback though anybody may upload then")
	return g
}

// asked reports whether requests are asked who makes them.
func (f *authFlags) asked() bool { return f.tokenFile != "" || f.keyFile != "" }

// check refuses to let strangers in by accident.
func (f *authFlags) check(cmd *cobra.Command, listen, host string) error {
	if !isLoopback(host) && !f.asked() && !f.insecure {
		return usagef(cmd, "--listen %s: without tokens, others could upload too; give --token-file, or --insecure if you want that", listen)
	}
	return nil
}

// apply reads the files, and returns what reads them again.
func (f *authFlags) apply(opts *server.Options, logger *slog.Logger) ([]reloader, error) {
	if !f.asked() {
		return nil, nil
	}
	opts.Auth = &auth.Options{}
	var all []reloader
	if f.tokenFile != "" {
		tokens, err := auth.OpenTokens(f.tokenFile, logger)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		opts.Auth.Tokens, all = tokens, append(all, tokens)
	}
	if f.keyFile != "" {
		keys, err := auth.OpenKeys(f.keyFile, logger)
		if err != nil {
			return nil, fmt.Errorf("--url-key-file: %w", err)
		}
		opts.Auth.Keys, all = keys, append(all, keys)
	}
	return all, nil
}

// A reloader has read files that may change. After an error it keeps to what
// they said before.
type reloader interface{ Reload() error }

// reloadOnSignal reads the files again on each SIGHUP until stop is called. They
// are looked at anyway when they change: this tells at once what is wrong. Where
// there are none the signal is no reason to end either: service managers send it.
func reloadOnSignal(all []reloader, logger *slog.Logger) (stop func()) {
	return onSignal(reloadSignal, func() {
		failed := false
		for _, r := range all {
			if err := r.Reload(); err != nil {
				failed = true
				logger.Error("a changed file is not used, what it said before still holds", "error", err)
			}
		}
		if !failed {
			logger.Info("files were read again")
		}
	})
}
