// Package tree finds the files below a directory.
//
// Use it where a tree may have millions of files: directories are read in
// batches, so memory grows with the depth of the tree only. The files of a
// batch come in order of their names; a directory of more than one batch
// doesn't as a whole.
//
// A [Finder] and a [Tree] are safe for concurrent use, an iteration isn't.
package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// batch is how many entries of a directory are held at once.
const batch = 512

// ErrSkipped marks what is passed over on purpose: symbolic links that aren't
// followed, and what is neither a file nor a directory.
var ErrSkipped = errors.New("skipped")

// A File is a regular file in a tree.
type File struct {
	// Path is where to open it.
	Path string
	// Name is its path below the root, with slashes.
	Name string
	// Size in bytes, when it was found.
	Size int64
}

// Options of a Finder. The zero value finds every file.
type Options struct {
	// Include has patterns of which a file must match one, where there are any.
	Include []string
	// Exclude has patterns of which neither a file nor a directory above it,
	// below the root, may match one.
	Exclude []string
	// FollowLinks follows symbolic links. One that leads to a directory above
	// it is an error.
	FollowLinks bool
	// Avoid is a directory, where not empty, that links must not lead to or above:
	// to come to it is an error. It may be made meanwhile.
	Avoid string
}

// A Finder finds files.
type Finder struct {
	include, exclude []pattern
	follow           bool
	avoid            string
}

// New returns a Finder. A pattern that is malformed is an error that names it.
func New(opts Options) (*Finder, error) {
	include, err := parsePatterns(opts.Include)
	if err != nil {
		return nil, err
	}
	exclude, err := parsePatterns(opts.Exclude)
	if err != nil {
		return nil, err
	}
	return &Finder{include: include, exclude: exclude, follow: opts.FollowLinks, avoid: opts.Avoid}, nil
}

// Tree returns the tree below root, which isn't looked at yet.
func (f *Finder) Tree(root string) Tree { return Tree{finder: f, root: root} }

// Glob returns the files that text, a path with wildcards, stands for, and those
// below the directories it stands for. Names begin below the directories
// before the first wildcard. It is an error if text is malformed.
func (f *Finder) Glob(text string) (Tree, error) {
	g, err := parseGlob(filepath.ToSlash(text))
	if err != nil {
		return Tree{}, err
	}
	return Tree{finder: f, root: filepath.FromSlash(g.root), only: g}, nil
}

// avoids looks anew each time, as the directory may have been made meanwhile.
func (f *Finder) avoids(dir fs.FileInfo) bool {
	if !f.follow || f.avoid == "" {
		return false
	}
	info, err := os.Stat(f.avoid)
	return err == nil && os.SameFile(info, dir)
}

// A Tree is the files below a root that a Finder finds.
type Tree struct {
	finder *Finder
	root   string
	only   *glob // or nil
}

// Root is what names are below of.
func (t Tree) Root() string { return t.root }

// Enters reports whether Files looks for files in a directory of that name, which
// needn't be there yet; "." is the root.
func (t Tree) Enters(name string) bool {
	if name == "." {
		return true
	}
	return t.only.leadsTo(name) && !matchesAny(t.finder.exclude, name, true) && t.Enters(path.Dir(name))
}

// Files yields them. What can't be read is yielded as an error with its File,
// and the walk goes on; that is ErrSkipped where it is meant to be passed over.
func (t Tree) Files() iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		w := walk{Tree: t, yield: yield}
		info, err := os.Stat(t.root) // the root itself may be a link
		if err != nil {
			yield(File{Path: t.root}, err)
			return
		}
		w.directory(t.root, "", []fs.FileInfo{info})
	}
}

// Has reports whether Files finds a file of that name. It looks at no other file.
func (t Tree) Has(name string) bool { return t.wanted(name) && t.leadsTo(name, fs.FileMode.IsRegular) }

// leadsTo reports whether a walk comes to name, and what is there is of that type.
func (t Tree) leadsTo(name string, is func(fs.FileMode) bool) bool {
	at := filepath.Join(t.root, filepath.FromSlash(name))
	info, err := os.Lstat(at)
	if err != nil || matchesAny(t.finder.exclude, name, info.IsDir()) {
		return false
	}
	if info.Mode()&fs.ModeSymlink != 0 && t.finder.follow {
		info, err = os.Stat(at)
	}
	if err != nil || !is(info.Mode()) {
		return false
	}
	above := path.Dir(name)
	return above == "." || t.leadsTo(above, fs.FileMode.IsDir)
}

// wanted says whether a file is what was asked for.
func (t Tree) wanted(name string) bool {
	return t.only.matches(name) && (len(t.finder.include) == 0 || matchesAny(t.finder.include, name, false))
}

// A walk is one iteration.
type walk struct {
	Tree
	yield func(File, error) bool
}

// directory walks one and what is below; above are it and its parents, from the
// root on. It returns false once nobody listens.
func (w *walk) directory(dir, name string, above []fs.FileInfo) bool {
	d, err := os.Open(dir)
	if err != nil {
		return w.yield(File{Path: dir, Name: name}, err)
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(batch)
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
		for _, e := range entries {
			if !w.entry(filepath.Join(dir, e.Name()), path.Join(name, e.Name()), e, above) {
				return false
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return true
		case err != nil:
			return w.yield(File{Path: dir, Name: name}, err)
		}
	}
}

func (w *walk) entry(at, name string, e fs.DirEntry, above []fs.FileInfo) bool {
	if matchesAny(w.finder.exclude, name, e.IsDir()) || !w.only.leadsTo(name) {
		return true
	}
	info, err := e.Info()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if !w.finder.follow {
			return w.skip(at, name, "it is a symbolic link")
		}
		info, err = os.Stat(at)
	}
	switch {
	case err != nil:
		return w.yield(File{Path: at, Name: name}, err)
	case info.IsDir():
		if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
			return w.yield(File{Path: at, Name: name}, errors.New("the link leads to a directory above it: it would go on without end"))
		}
		if w.finder.avoids(info) {
			return w.yield(File{Path: at, Name: name}, errors.New("a link leads to where files are made of these: it would go on without end"))
		}
		return w.directory(at, name, append(slices.Clip(above), info))
	case !w.wanted(name):
		return true
	case !info.Mode().IsRegular():
		return w.skip(at, name, "it is neither a file nor a directory")
	}
	return w.yield(File{Path: at, Name: name, Size: info.Size()}, nil)
}

func (w *walk) skip(at, name, why string) bool {
	if !w.wanted(name) {
		return true
	}
	return w.yield(File{Path: at, Name: name}, fmt.Errorf("%w: %s", ErrSkipped, why))
}
