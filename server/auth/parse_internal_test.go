package auth

import (
	"bytes"
	"encoding/base64"
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

// FuzzGrant: what is signed reads as one grant, and nothing else reads as any.
func FuzzGrant(f *testing.F) {
	key := []byte("0123456789abcdef0123456789abcdef")
	good, _, err := Grant{Owner: "alice", Expires: 1, Nonce: "0123456789abcdef", Type: "image/*"}.Sign(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(strings.Split(good, ".")[0])
	f.Add(`{"owner":"alice","expires":1,"nonce":"0123456789abcdef"}`)
	f.Fuzz(func(t *testing.T, value string) {
		if g, err := parseGrant(value, [][]byte{key}); err == nil {
			if payload, _, _ := strings.Cut(value, "."); payload != strings.Split(good, ".")[0] {
				t.Fatalf("%q is the grant %+v", value, g)
			}
		}
		// Signed nonsense is what an application wrote, and refused too.
		payload := base64.RawURLEncoding.EncodeToString([]byte(value))
		g, err := parseGrant(payload+"."+base64.RawURLEncoding.EncodeToString(mac(key, payload)), [][]byte{key})
		if err == nil && (g.check() != nil || len(g.id) != 32) {
			t.Fatalf("%q is the grant %+v", value, g)
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("# new\n0123456789abcdef0123456789abcdef\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parseKeys(text)
		for _, key := range keys {
			if err != nil || len(key) < minKeyBytes || !bytes.Contains(text, key) {
				t.Fatalf("%q has the key %q, %v", text, key, err)
			}
		}
	})
}
