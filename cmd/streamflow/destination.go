package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/tusstore"
)

// A destination is where DESTINATION points to: a directory, a tus server or a
// bucket.
type destination struct {
	// name is what the journal calls it: an absolute directory, or the URL
	// without a password.
	name string
	url  string // of a tus server
	// bucket is set for one, and what keys in it begin with.
	bucket, prefix string
}

func (d destination) directory() bool { return d.url == "" && d.bucket == "" }

// missing: the directory isn't there.
func (d destination) missing() bool {
	_, err := os.Stat(d.name)
	return d.directory() && errors.Is(err, fs.ErrNotExist)
}

// named: objects have the names they are given, not ids.
func (d destination) named() bool { return d.url == "" }

// parseTarget is parseDestination for what is made where it is missing. A directory
// is if it ends in a slash: without one it may be a slip of the pen.
func parseTarget(cmd *cobra.Command, text string) (destination, error) {
	d, err := parseDestination(cmd, text)
	if err == nil && d.missing() && !os.IsPathSeparator(text[len(text)-1]) {
		return d, fmt.Errorf("destination %s: %w: end it in / to have the directory made", text, fs.ErrNotExist)
	}
	return d, err
}

// String is what texts call it. A signed URL is a secret.
func (d destination) String() string {
	if d.url == "" {
		return d.name
	}
	return transport.ShownText(d.name)
}

// parseDestination reads DESTINATION without touching it.
func parseDestination(cmd *cobra.Command, text string) (destination, error) {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		return directoryAt(cmd, text)
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return destination{}, usagef(cmd, "the destination is no URL: want %s://HOST/PATH", scheme)
		}
		return destination{name: u.Redacted(), url: text}, nil
	case "file":
		path, err := localPath(cmd, text, rest)
		if err != nil {
			return destination{}, err
		}
		return directoryAt(cmd, path)
	case "s3":
		return parseBucket(cmd, text)
	default:
		return destination{}, usagef(cmd, "destination: scheme %q is none of file, http, https, s3", scheme)
	}
}

// localPath returns the path of a file:// URL; rest is what follows the scheme.
func localPath(cmd *cobra.Command, text, rest string) (string, error) {
	host, path, _ := strings.Cut(rest, "/")
	if host != "" && host != "localhost" {
		return "", usagef(cmd, "destination %s is on another machine: file:// is for this one", text)
	}
	path, err := url.PathUnescape("/" + path)
	if err != nil {
		return "", usagef(cmd, "destination %s: %w", text, err)
	}
	return path, nil
}

// parseExisting is parseDestination for what isn't made.
func parseExisting(cmd *cobra.Command, text string) (destination, error) {
	d, err := parseDestination(cmd, text)
	if err == nil && d.missing() {
		return d, fmt.Errorf("destination %s: %w", text, fs.ErrNotExist)
	}
	return d, err
}

func directoryAt(cmd *cobra.Command, path string) (destination, error) {
	if path == "" {
		return destination{}, usagef(cmd, "the destination is empty")
	}
	dir, err := filepath.Abs(path)
	if err != nil {
		return destination{}, fmt.Errorf("destination %s: %w", path, err)
	}
	d := destination{name: dir}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist): // and may be made
	case err != nil:
		return d, fmt.Errorf("destination %s: %w", path, err)
	case !info.IsDir():
		return d, usagef(cmd, "destination %s is a file, not a directory", path)
	}
	return d, nil
}

// closingStore is a store that has something to give back.
type closingStore interface {
	store.Store
	io.Closer
}

// open returns the store of d. token may be empty.
func (d destination) open(mem *memory.Manager, token string, s3 *s3Flags, logger *slog.Logger) (st closingStore, err error) {
	switch {
	case d.bucket != "":
		st, err = s3.open(d.bucket, d.prefix, mem)
	case d.url != "":
		st, err = tusstore.Open(d.url, mem, &tusstore.Options{Token: token})
	default:
		st, err = filestore.Open(d.name, mem, &filestore.Options{Logger: logger})
	}
	if err != nil {
		return nil, fmt.Errorf("destination %s: %w", d, err)
	}
	return st, nil
}

// readToken returns the one line of the file at path, or "" without a path.
func readToken(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("--token-file %s: want one line with one token", path)
	}
	return token, nil
}
