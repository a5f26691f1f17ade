package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/streamflow/streamflow/internal/reload"
)

// maxFileBytes bounds a file of tokens or keys: all of it is in memory, and
// every request is compared with every token.
const maxFileBytes = 1 << 20

// Tokens are the bearer tokens (RFC 6750) in a file. When the file changes they
// do, a second later at most; a file that can't be read or has a mistake is
// logged, and the tokens stay as they were.
type Tokens struct{ file *reload.Value[[]Token] }

// OpenTokens reads the tokens in the file at path; [Token] says what is in it.
func OpenTokens(path string, logger *slog.Logger) (*Tokens, error) {
	file, err := reload.Open(func() ([]Token, error) { return readTokens(path) }, logger, path)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	return &Tokens{file}, nil
}

// Reload reads the file now. After an error the tokens stay as they were.
func (t *Tokens) Reload() error {
	if err := t.file.Reload(); err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	return nil
}

func readTokens(path string) ([]Token, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	tokens, err := parseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return tokens, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return text, nil
}

var (
	errUnknownToken = errors.New("the token is unknown")
	errExpiredToken = errors.New("the token has expired")
)

// find returns the token with a secret. It looks at all of them, so the time it
// takes says neither which one it is nor whether there is one.
func (t *Tokens) find(secret string) (Token, error) {
	if len(secret) < minTokenBytes {
		return Token{}, errUnknownToken
	}
	hash := sha256.Sum256([]byte(secret))
	found, err := Token{}, errUnknownToken
	for _, token := range t.file.Get() {
		if token.matches(hash) {
			found, err = token, nil
		}
	}
	if err == nil && found.expired(time.Now()) {
		return Token{}, errExpiredToken
	}
	return found, err
}
