package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

const stdinPath = "-"

// A source is one SOURCE of the command line.
type source struct {
	path string // as it was given
	name string // at the destination
	size int64  // in bytes, 0 where missing, or store.UnknownLength
}

func (s source) stdin() bool { return s.path == stdinPath }

// parseSources reads SOURCE... and refuses what no upload could make right.
// name, where given, is for the only source.
func parseSources(cmd *cobra.Command, paths []string, name string, dst destination) ([]source, error) {
	sources := make([]source, 0, len(paths))
	seen := make(map[string]string, len(paths)) // path by name
	for _, path := range paths {
		s := source{path: path, name: cmp.Or(name, filepath.Base(path))}
		if s.stdin() {
			s.name, s.size = cmp.Or(name, "stdin"), store.UnknownLength
		}
		if info, err := os.Stat(path); !s.stdin() && err == nil {
			if info.IsDir() {
				return nil, usagef(cmd, "source %s is a directory: directories are not supported yet, name the files", path)
			}
			s.size = info.Size()
		}
		if other, ok := seen[s.name]; ok && (dst.directory() || s.stdin()) {
			return nil, usagef(cmd, "sources %s and %s would both become %s", other, path, s.name)
		}
		seen[s.name] = path
		sources = append(sources, s)
	}
	return sources, nil
}

// open begins to read.
func (s source) open() (*streamflow.Source, error) {
	if s.stdin() {
		return streamflow.Stream(s.name, openStdin()), nil
	}
	src, err := streamflow.OpenFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("upload %s: %w", s.path, err)
	}
	src.SetName(s.name)
	return src, nil
}

// openStdin returns standard input, in a form whose Read ends when it is
// closed, if possible: a pipe or terminal is opened anew, because the one that
// was handed down blocks.
func openStdin() *os.File {
	info, err := os.Stdin.Stat()
	if err != nil || info.Mode()&(os.ModeNamedPipe|os.ModeCharDevice) == 0 {
		return os.Stdin
	}
	if f, err := os.Open("/proc/self/fd/0"); err == nil {
		return f
	}
	return os.Stdin
}
