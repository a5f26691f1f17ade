package main

import (
	"errors"
	"fmt"
	"iter"
	"strings"
)

// errClash: of two files of a command only one would be left at the destination.
var errClash = errors.New("names clash")

// clash is the error of a file of one origin whose name one of an earlier origin has.
func (s sources) clash(of int, src source) error {
	for i := range s.having(src.name) {
		if i < of {
			return fmt.Errorf("upload %s: %w: source %s has %s, too: leave one of them out, or upload it by itself under another --name",
				src.path, errClash, s.origins[i].path, src.name)
		}
	}
	return nil
}

// takenBeside returns what reports whether another origin than that one has a file
// of a name.
func (s sources) takenBeside(this int) func(name string) bool {
	return func(name string) bool {
		for i := range s.having(name) {
			if i != this {
				return true
			}
		}
		return false
	}
}

// having yields the origins that have a file of that name, where that matters. The
// names of trees aren't kept, as there may be millions: each tree is asked.
func (s sources) having(name string) iter.Seq[int] {
	return func(yield func(int) bool) {
		if s.apart || len(s.origins) == 1 {
			return
		}
		top, below, deep := strings.Cut(name, "/")
		if i, ok := s.named[top]; ok && s.origins[i].has(below, deep) && !yield(i) {
			return
		}
		for _, i := range s.nameless {
			if s.origins[i].has(name, true) && !yield(i) {
				return
			}
		}
	}
}

// has reports whether a file lies below a tree, or whether it is a single file,
// which nothing lies below.
func (o origin) has(below string, deep bool) bool {
	if o.tree == nil {
		return !deep && o.err == nil
	}
	return deep && o.tree.Has(below)
}
