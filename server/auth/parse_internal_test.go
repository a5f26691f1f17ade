package auth

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzTokens: what reads as a file of tokens reads the same when it is written.
func FuzzTokens(f *testing.F) {
	f.Add([]byte("# all\nsha256:" + strings.Repeat("0a", 32) + " alice create,append 2027-01-31T00:00:00Z # hers\n"))
	f.Add([]byte("sha256:" + strings.Repeat("ff", 32) + " bob admin never"))
	f.Fuzz(func(t *testing.T, text []byte) {
		tokens, err := parseTokens(text)
		if err != nil {
			return
		}
		var again bytes.Buffer
		for _, token := range tokens {
			again.WriteString(token.String() + "\n")
		}
		reread, err := parseTokens(again.Bytes())
		if err != nil || len(reread) != len(tokens) {
			t.Fatalf("%q: %v", again.String(), err)
		}
		for i, token := range tokens {
			if r := reread[i]; r.hash != token.hash || r.Owner != token.Owner || r.Scopes != token.Scopes ||
				r.Expires.Unix() != token.Expires.Unix() {
				t.Fatalf("%v reads as %v", token, r)
			}
		}
	})
}
