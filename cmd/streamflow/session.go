package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/memory"
)

// destinationFlags are what every command with a DESTINATION has.
type destinationFlags struct {
	tokenFile string
	stateDir  string
	s3        s3Flags
}

func (f *destinationFlags) group() flagGroup {
	g := newFlagGroup("Destination")
	g.flags.StringVar(&f.tokenFile, "token-file", "", "file with the token to send to the server")
	g.flags.StringVar(&f.stateDir, "state-dir", "", "where unfinished uploads are remembered (default $XDG_STATE_HOME/streamflow)")
	return g
}

// destinationName is what the journal calls dst: a bucket of one name is another
// at another service.
func (f *destinationFlags) destinationName(dst destination) string {
	if service := f.s3.service(); dst.bucket != "" && service != "" {
		return dst.name + " at " + service
	}
	return dst.name
}

// A session is an open destination, and what it takes to use it. Close it.
type session struct {
	console *console
	logger  *slog.Logger
	process *memory.Process
	store   closingStore
	manager *streamflow.Manager

	opened []io.Closer // in that order
}

// open opens dst for a command. Memory and journal are those that the flags say,
// opts has the rest.
func (f *destinationFlags) open(cmd *cobra.Command, dst destination, mem *memoryFlags, level logLevel, opts streamflow.Options) (*session, error) {
	token, err := readToken(f.tokenFile)
	if err != nil {
		return nil, err
	}
	console := &console{w: cmd.ErrOrStderr()}
	s := &session{console: console, logger: mem.logger(console, level)}
	opts.Logger, opts.Destination = s.logger, f.destinationName(dst)
	if err := s.open(cmd, dst, mem, f, token, opts); err != nil {
		_ = s.Close() // err says more
		return nil, err
	}
	return s, nil
}

func (s *session) open(cmd *cobra.Command, dst destination, mem *memoryFlags, f *destinationFlags, token string, opts streamflow.Options) (err error) {
	if s.process, err = mem.open(cmd, s.logger); err != nil {
		return err
	}
	s.opened = append(s.opened, s.process)
	opts.Memory = s.process.Manager()
	if s.store, err = dst.open(opts.Memory, token, &f.s3, s.logger); err != nil {
		return err
	}
	s.opened = append(s.opened, s.store)
	opts.StateDir = f.journal(s.logger)
	if s.manager, err = streamflow.New(s.store, &opts); err != nil {
		return err
	}
	s.opened = append(s.opened, s.manager)
	return nil
}

// journal returns the directory of the journal, or "" where there can't be one and
// nobody has asked for any: a container may have nothing to write to.
func (f *destinationFlags) journal(logger *slog.Logger) string {
	if f.stateDir != "" {
		return f.stateDir
	}
	dir, err := defaultStateDir()
	if err == nil {
		err = tryJournal(dir)
	}
	if err != nil {
		logger.Warn("uploads can't be resumed by a later command: give --state-dir", "error", err)
		return ""
	}
	return dir
}

func tryJournal(dir string) error {
	j, err := journal.Open(dir)
	if err != nil {
		return err
	}
	return j.Close()
}

// defaultStateDir follows the XDG Base Directory Specification.
func defaultStateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "streamflow"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "streamflow"), nil
}

// Close closes what was opened, the last first, and returns the first error.
func (s *session) Close() (err error) {
	for len(s.opened) > 0 {
		last := len(s.opened) - 1
		if closeErr := s.opened[last].Close(); err == nil {
			err = closeErr
		}
		s.opened = s.opened[:last]
	}
	return err
}

// closing closes c at the end of a function that returns err.
func closing(err *error, c io.Closer) {
	if closeErr := c.Close(); *err == nil {
		*err = closeErr
	}
}
