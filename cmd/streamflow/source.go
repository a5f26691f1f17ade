package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/tree"
	"github.com/streamflow/streamflow/store"
)

const stdinPath = "-"

// A source is one file to upload, or standard input.
type source struct {
	path string // as it was given, or below what was given
	name string // at the destination
	size int64  // in bytes, 0 where missing, or store.UnknownLength

	taken func(name string) bool // by another SOURCE, or nil
}

func (s source) stdin() bool { return s.path == stdinPath }

// isPipe reports whether standard input is all there is.
func (s sources) isPipe() bool { return len(s.origins) == 1 && s.origins[0].stdin() }

// Sources are all that a command uploads. A tree in them is walked anew by each
// range over them, and never listed whole.
type sources struct {
	origins  []origin
	named    map[string]int // of the origins that have a name: which that is
	nameless []int          // origins whose files have no directory in common
	finder   *tree.Finder
	apart    bool // the destination keeps what has the same name apart

	extension string // that the encryption gives each name
	renamed   bool   // names may get an extension
	openEnded bool   // sizes say nothing of how much is sent
}

// An origin is one SOURCE of the command line: a file or standard input, or
// else a tree or files with wildcards, with the prefix of their names.
type origin struct {
	source
	err  error      // of a single one that can't be read
	tree *tree.Tree // nil for a single one
}

// A filter says which files of a directory are wanted.
type filter struct {
	include, exclude []string
	followLinks      bool
}

// parseSources reads SOURCE... and refuses what no upload could make right.
// name, where given, is for the only source.
func parseSources(cmd *cobra.Command, paths []string, name string, dst destination, f filter) (sources, error) {
	opts := tree.Options{Include: f.include, Exclude: f.exclude, FollowLinks: f.followLinks}
	if dst.directory() {
		opts.Avoid = dst.name
	}
	finder, err := tree.New(opts)
	if err != nil {
		return sources{}, usagef(cmd, "--include or --exclude: %w", err)
	}
	all := sources{finder: finder, named: make(map[string]int, len(paths)), apart: !dst.named()}
	for _, path := range paths {
		o, err := all.origin(path, name)
		if err != nil {
			return sources{}, usagef(cmd, "source %q: %w", path, err)
		}
		other, ok := all.named[o.name]
		if ok && isSamePath(paths[other], path) {
			return sources{}, usagef(cmd, "source %s is %s once more: give it once", path, paths[other])
		}
		if ok && dst.named() {
			return sources{}, usagef(cmd, "sources %s and %s would both become %s: upload one of them by itself, under another --name", paths[other], path, o.name)
		}
		all.add(o)
	}
	return all, nil
}

func (s *sources) add(o origin) {
	if o.name == "" {
		s.nameless = append(s.nameless, len(s.origins))
	} else {
		s.named[o.name] = len(s.origins)
	}
	s.origins = append(s.origins, o)
}

func (s sources) origin(at, name string) (origin, error) {
	if at == "" {
		return origin{}, errors.New("it is empty")
	}
	o := origin{source: source{path: at, name: cmp.Or(name, filepath.Base(at))}}
	if o.stdin() {
		o.name, o.size = cmp.Or(name, "stdin"), store.UnknownLength
		return o, nil
	}
	info, err := os.Stat(at)
	switch {
	case err == nil && info.IsDir():
		o.name = cmp.Or(name, treeName(at))
		files := s.finder.Tree(at)
		o.tree = &files
	case err == nil && info.Mode().IsRegular():
		o.size = info.Size()
	case err == nil:
		err = errors.New("it is neither a file nor a directory: redirect it, as in streamflow upload --name NAME - DESTINATION <" + at)
		o.err = fmt.Errorf("upload %s: %w", at, &streamflow.SourceError{Name: at, Err: err})
	case errors.Is(err, fs.ErrNotExist) && tree.HasWildcard(at):
		o.name = name
		files, err := s.finder.Glob(at)
		o.tree = &files
		return o, err
	default:
		o.err = fmt.Errorf("upload %s: %w", at, &streamflow.SourceError{Name: at, Err: err})
	}
	return o, nil
}

// treeName is what a directory's files are found below at the destination: its
// own name, or nothing for one that is named by dots, like photos/. and ..
func treeName(at string) string {
	if base := filepath.Base(at); base != "." && base != ".." && base != string(filepath.Separator) {
		return base
	}
	return ""
}

// all yields every file. What can't be read of a tree is yielded as an error
// with its path, and it goes on; tree.ErrSkipped is passed over on purpose.
func (s sources) all() iter.Seq2[source, error] {
	return func(yield func(source, error) bool) {
		for i, o := range s.origins {
			taken := s.takenBeside(i)
			for src, err := range o.all() {
				src.taken = taken
				if err == nil {
					err = s.clash(i, src)
				}
				if !yield(src, err) {
					return
				}
			}
		}
	}
}

func (o origin) all() iter.Seq2[source, error] {
	return func(yield func(source, error) bool) {
		if o.tree == nil {
			yield(o.source, o.err)
			return
		}
		any := false
		for f, err := range o.tree.Files() {
			any = true
			if err != nil {
				err = fmt.Errorf("upload %s: %w", f.Path, err)
			}
			if !yield(source{path: f.Path, name: path.Join(o.name, f.Name), size: f.Size}, err) {
				return
			}
		}
		if !any && tree.HasWildcard(o.path) {
			yield(o.source, fmt.Errorf("upload %s: no file matches: %w", o.path, fs.ErrNotExist))
		}
	}
}

// open begins to read.
func (s source) open() (*streamflow.Source, error) {
	if s.stdin() {
		src := streamflow.Stream(s.name, openStdin())
		src.SetTaken(s.taken)
		return src, nil
	}
	src, err := streamflow.OpenFile(s.path)
	if err != nil {
		return nil, fmt.Errorf("upload %s: %w", s.path, err)
	}
	src.SetName(s.name)
	src.SetTaken(s.taken)
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
