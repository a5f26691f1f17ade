package main

import (
	"os"
	"path"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/internal/tree"
)

// overlap returns an error where a source is a destination, too: a walk would find
// what it has just made, without end, and a file would replace itself by a copy.
func (s sources) overlap(cmd *cobra.Command, dst destination) error {
	if !dst.directory() {
		return nil
	}
	for _, o := range s.origins {
		if err := o.overlap(cmd, dst, s.renamed); err != nil {
			return err
		}
	}
	return nil
}

// overlap: renamed files may lie beside what they are made of.
func (o origin) overlap(cmd *cobra.Command, dst destination, renamed bool) error {
	if o.stdin() || o.tree == nil && renamed {
		return nil
	}
	if o.tree != nil && finds(o.tree, dst.name) {
		return usagef(cmd, "the destination %s is inside source %s, and would be uploaded into itself: choose one beside it", dst.name, o.path)
	}
	if o.name != "" && isSame(o.path, filepath.Join(dst.name, filepath.FromSlash(o.name))) {
		return usagef(cmd, "source %s lies at the destination %s already, and would replace itself: choose another one", o.path, dst.name)
	}
	return nil
}

// finds reports whether a walk of t, which begins now, comes to dir.
func finds(t *tree.Tree, dir string) bool {
	below, ok := pathBelow(t.Root(), dir)
	return ok && t.Enters(below)
}

func isSame(a, b string) bool {
	at, err := os.Stat(a)
	if err != nil {
		return false
	}
	bt, err := os.Stat(b)
	return err == nil && os.SameFile(at, bt)
}

func isSamePath(a, b string) bool {
	at, err := filepath.Abs(a)
	if err != nil {
		return false
	}
	bt, err := filepath.Abs(b)
	return err == nil && at == bt
}

// pathBelow returns the path, with slashes, that leads from the directory top to
// dir, "." if they are the same, or false if none does. dir needn't be there yet,
// and links may lead to both.
func pathBelow(top, dir string) (string, bool) {
	for below := "."; ; {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		if isSame(top, dir) {
			return below, true
		}
		above := filepath.Dir(dir)
		if above == dir {
			return "", false
		}
		below, dir = path.Join(filepath.Base(dir), below), above
	}
}
