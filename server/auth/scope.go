package auth

import (
	"fmt"
	"strings"
)

// Scopes are rights, as a set: Create|Append is both.
type Scopes uint8

// The scopes. Whoever has one may do that to uploads of the same owner.
const (
	Create Scopes = 1 << iota // begin an upload
	Append                    // send bytes, and ask how far they came
	Read                      // read what is finished, and ask about it
	Delete                    // discard an upload
	Admin                     // all of that, to everybody's uploads; look into the server
)

var scopeNames = []struct {
	scope Scopes
	name  string
}{{Create, "create"}, {Append, "append"}, {Read, "read"}, {Delete, "delete"}, {Admin, "admin"}}

// ParseScopes reads names of scopes with commas between them.
func ParseScopes(text string) (Scopes, error) {
	var all Scopes
	for word := range strings.SplitSeq(text, ",") {
		scope := scopeNamed(word)
		if scope == 0 {
			return 0, fmt.Errorf("%q is none of the scopes create, append, read, delete, admin", word)
		}
		all |= scope
	}
	return all, nil
}

func scopeNamed(word string) Scopes {
	for _, s := range scopeNames {
		if s.name == word {
			return s.scope
		}
	}
	return 0
}

// Has reports whether s has all of want. Admin has every scope.
func (s Scopes) Has(want Scopes) bool { return s&Admin != 0 || s&want == want }

// String returns what ParseScopes reads.
func (s Scopes) String() string {
	var names []string
	for _, n := range scopeNames {
		if s&n.scope != 0 {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}
