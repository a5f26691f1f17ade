package tree

import (
	"fmt"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// A pattern is one of Include or Exclude. Without a slash, but at its end, it
// is about an element's own name at any depth, as in .gitignore; else about the
// path below the root.
type pattern struct {
	text      string
	base      bool
	directory bool // matches directories only
}

func parsePatterns(texts []string) ([]pattern, error) {
	patterns := make([]pattern, 0, len(texts))
	for _, text := range texts {
		p := pattern{text: strings.TrimSuffix(text, "/")}
		p.directory = p.text != text
		p.base = !strings.Contains(p.text, "/")
		p.text = strings.TrimPrefix(p.text, "/")
		if p.text == "" || !doublestar.ValidatePattern(p.text) {
			return nil, fmt.Errorf("%q is no pattern: write it as *.log, build/ or photos/**/*.jpg", text)
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

func (p pattern) matches(name string, directory bool) bool {
	if p.directory && !directory {
		return false
	}
	if p.base {
		name = path.Base(name)
	}
	return doublestar.MatchUnvalidated(p.text, name)
}

func matchesAny(patterns []pattern, name string, directory bool) bool {
	for _, p := range patterns {
		if p.matches(name, directory) {
			return true
		}
	}
	return false
}

// HasWildcard says whether text is for Glob.
func HasWildcard(text string) bool { return strings.ContainsAny(text, "*?[{") }

// A glob is a path with wildcards.
type glob struct {
	root     string
	pattern  string   // below root
	elements []string // of pattern, up to the first **
	deep     bool     // there is a **
}

func parseGlob(text string) (*glob, error) {
	if !doublestar.ValidatePattern(text) {
		return nil, fmt.Errorf("%q is no pattern", text)
	}
	g := &glob{}
	g.root, g.pattern = doublestar.SplitPattern(path.Clean(text))
	for _, element := range strings.Split(g.pattern, "/") {
		// An alternative may have slashes, and then elements don't count.
		if g.deep = strings.Contains(element, "**") || strings.ContainsAny(element, "{}"); g.deep {
			break
		}
		g.elements = append(g.elements, element)
	}
	return g, nil
}

// matches says whether name or a directory above it is what the glob stands
// for. A nil glob stands for everything.
func (g *glob) matches(name string) bool {
	if g == nil {
		return true
	}
	for ; name != "."; name = path.Dir(name) {
		if doublestar.MatchUnvalidated(g.pattern, name) {
			return true
		}
	}
	return false
}

// leadsTo is false where neither name nor anything below can match.
func (g *glob) leadsTo(name string) bool {
	if g == nil || g.matches(name) {
		return true
	}
	parts := strings.Split(name, "/")
	if len(parts) > len(g.elements) {
		return g.deep
	}
	return doublestar.MatchUnvalidated(strings.Join(g.elements[:len(parts)], "/"), name)
}
