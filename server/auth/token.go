package auth

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

const (
	tokenPrefix = "streamflow_" // so that people and scanners of secrets know one
	tokenBytes  = 32            // of randomness
	// minTokenBytes keeps words that somebody thought of out of the file.
	minTokenBytes = 32
	hashPrefix    = "sha256:"
	never         = "never"
	maxOwnerBytes = 128
)

// A Token is a line of a token file: the right of whoever bears a secret. The
// secret isn't in it, only its SHA-256. That is enough, as a secret is 256 random
// bits: nobody tries them all, however fast a hash is. The slow hashes for
// passwords would only make each request slow.
type Token struct {
	// Owner is whom the uploads belong to: no spaces, at most 128 bytes.
	Owner  string
	Scopes Scopes
	// Expires is when the token ends; the zero time is never.
	Expires time.Time

	hash [sha256.Size]byte
}

// NewToken makes a token and the secret that its bearer sends.
func NewToken(owner string, scopes Scopes, expires time.Time) (t Token, secret string, err error) {
	random := make([]byte, tokenBytes)
	rand.Read(random) // never fails
	secret = tokenPrefix + base64.RawURLEncoding.EncodeToString(random)
	t = Token{Owner: owner, Scopes: scopes, Expires: expires, hash: sha256.Sum256([]byte(secret))}
	return t, secret, t.check()
}

func (t Token) check() error {
	switch {
	case !validOwner(t.Owner):
		return fmt.Errorf("%.40q can't be an owner: want 1 to %d bytes of printable characters, without spaces and #", t.Owner, maxOwnerBytes)
	case t.Scopes == 0:
		return errors.New("a token needs a scope")
	}
	return nil
}

func validOwner(owner string) bool {
	return owner != "" && len(owner) <= maxOwnerBytes && !strings.ContainsFunc(owner, func(r rune) bool {
		return r == '#' || r == unicode.ReplacementChar || !unicode.IsPrint(r) || unicode.IsSpace(r)
	})
}

// String returns the line of a token file.
func (t Token) String() string {
	expires := never
	if !t.Expires.IsZero() {
		expires = t.Expires.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s%x %s %s %s", hashPrefix, t.hash, t.Owner, t.Scopes, expires)
}

// matches compares in a time that says nothing of how much is the same.
func (t Token) matches(hash [sha256.Size]byte) bool {
	return subtle.ConstantTimeCompare(t.hash[:], hash[:]) == 1
}

func (t Token) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// parseTokens reads a token file: a token a line, as [Token.String] writes it,
// with any space between the fields. What follows a # is a comment. Errors
// name the line and show no hash.
func parseTokens(text []byte) ([]Token, error) {
	var tokens []Token
	seen := make(map[[sha256.Size]byte]int)
	lines := bufio.NewScanner(bytes.NewReader(text))
	number := 0
	for lines.Scan() {
		number++
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		t, err := parseToken(fields)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if first := seen[t.hash]; first != 0 {
			return nil, fmt.Errorf("line %d: the same token as in line %d", number, first)
		}
		seen[t.hash] = number
		tokens = append(tokens, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	return tokens, nil
}

func parseToken(fields []string) (Token, error) {
	if len(fields) != 4 {
		return Token{}, errors.New("want sha256:HASH OWNER SCOPES EXPIRY")
	}
	var t Token
	encoded, ok := strings.CutPrefix(fields[0], hashPrefix)
	hash, err := hex.DecodeString(encoded)
	if !ok || err != nil || len(hash) != len(t.hash) {
		return Token{}, errors.New("the first field is not sha256: and 64 hexadecimal digits")
	}
	copy(t.hash[:], hash)
	t.Owner = fields[1]
	if t.Scopes, err = ParseScopes(fields[2]); err != nil {
		return Token{}, err
	}
	if fields[3] != never {
		t.Expires, err = time.Parse(time.RFC3339, fields[3])
		if year := t.Expires.UTC().Year(); err != nil || year < 2000 || year > 9999 { // the zero time would be never
			return Token{}, fmt.Errorf("the expiry %.40q is neither never nor a time as 2027-01-31T00:00:00Z", fields[3])
		}
	}
	return t, t.check()
}
