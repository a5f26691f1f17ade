package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/internal/reload"
	"github.com/streamflow/streamflow/server"
)

// tlsFlags are the files of a certificate.
type tlsFlags struct{ cert, key string }

func (f *tlsFlags) group() flagGroup {
	g := newFlagGroup("TLS")
	g.flags.StringVar(&f.cert, "tls-cert", "", "PEM `FILE` of the certificate and those that sign it; read again when it changes")
	g.flags.StringVar(&f.key, "tls-key", "", "PEM `FILE` of its private key")
	return g
}

func (f *tlsFlags) check(cmd *cobra.Command) error {
	if (f.cert == "") != (f.key == "") {
		return usagef(cmd, "give both --tls-cert and --tls-key, or none")
	}
	return nil
}

func (f *tlsFlags) scheme() string {
	if f.cert == "" {
		return "http"
	}
	return "https"
}

// apply reads the files, and returns what reads them again.
func (f *tlsFlags) apply(opts *server.Options, logger *slog.Logger) ([]reloader, error) {
	if f.cert == "" {
		return nil, nil
	}
	pair, err := reload.Open(f.load, logger, f.cert, f.key)
	if err != nil {
		return nil, err
	}
	opts.TLS = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.Get(), nil },
	}
	return []reloader{pair}, nil
}

func (f *tlsFlags) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	return &pair, nil
}
