package policy

import (
	"fmt"
	"mime"
	"strings"
	"unicode"
)

// A TypePattern says which media types are meant: one, as application/pdf, or
// all below one, as image/*. It is in lower case.
type TypePattern string

// ParseType reads a TypePattern in any case.
func ParseType(s string) (TypePattern, error) {
	top, sub, ok := strings.Cut(strings.ToLower(s), "/")
	if !ok || !isToken(top) || !isToken(sub) || strings.Contains(top, "*") || sub != "*" && strings.Contains(sub, "*") {
		return "", fmt.Errorf("%q is no media type such as application/pdf or image/*", s)
	}
	return TypePattern(top + "/" + sub), nil
}

// Matches says whether a media type in lower case and without parameters is
// meant.
func (p TypePattern) Matches(mediaType string) bool {
	if below, all := strings.CutSuffix(string(p), "*"); all {
		return strings.HasPrefix(mediaType, below)
	}
	return mediaType == string(p)
}

// isToken: what a type or subtype may be made of (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// mediaType returns a declared type in lower case without its parameters.
func mediaType(declared string) (string, bool) {
	t, _, err := mime.ParseMediaType(declared)
	top, sub, ok := strings.Cut(t, "/")
	return t, err == nil && ok && isToken(top) && isToken(sub)
}

// An Extension is how a file's name ends, such as .jpg or .tar.gz. It is in lower
// case.
type Extension string

// ParseExtension reads an Extension in any case.
func ParseExtension(s string) (Extension, error) {
	if len(s) < 2 || s[0] != '.' || s[len(s)-1] == '.' || !isPlain(s) || strings.ContainsAny(s, `/\*? `) {
		return "", fmt.Errorf("%q is no extension such as .jpg or .tar.gz", s)
	}
	return Extension(strings.ToLower(s)), nil
}

// Matches says whether a name ends so, in any case.
func (e Extension) Matches(name string) bool {
	return isPlain(name) && strings.HasSuffix(strings.ToLower(name), string(e))
}

// isPlain: a name with control characters or broken UTF-8 may end in something
// else for who reads it next.
func isPlain(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}
