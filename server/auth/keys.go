package auth

import (
	"bytes"
	"fmt"
	"log/slog"

	"github.com/streamflow/streamflow/internal/reload"
)

// minKeyBytes is the size of an HMAC-SHA256: a shorter key is easier to guess.
const minKeyBytes = 32

// Keys are the keys in a file that sign grants: a line each, of 32 bytes or more,
// as they are. Empty lines, and those that begin with #, are left out. A grant
// that any of them has signed is good, so that a new key can come before the old
// one goes. When the file changes they do, like [Tokens].
type Keys struct{ file *reload.Value[[][]byte] }

// OpenKeys reads the keys in the file at path.
func OpenKeys(path string, logger *slog.Logger) (*Keys, error) {
	file, err := reload.Open(func() ([][]byte, error) { return readKeys(path) }, logger, path)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return &Keys{file}, nil
}

// Reload reads the file now. After an error the keys stay as they were.
func (k *Keys) Reload() error {
	if err := k.file.Reload(); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	return nil
}

func readKeys(path string) ([][]byte, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return keys, nil
}

// parseKeys tells lines by their number only.
func parseKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	number := 0
	for line := range bytes.Lines(text) {
		number++
		key := bytes.TrimSpace(line)
		switch {
		case len(key) == 0 || key[0] == '#':
		case len(key) < minKeyBytes:
			return nil, fmt.Errorf("line %d: a key has %d bytes or more", number, minKeyBytes)
		default:
			keys = append(keys, key)
		}
	}
	return keys, nil
}
