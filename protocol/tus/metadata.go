package tus

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/streamflow/streamflow/store"
)

// ParseMetadata reads an Upload-Metadata header: pairs of a key and a value in
// base64, separated by commas. A value may be missing. Anything malformed, a
// key that isn't printable ASCII, or one that comes twice is store.ErrInvalid.
func ParseMetadata(header string) (map[string]string, error) {
	if header == "" {
		return nil, nil
	}
	metadata := make(map[string]string)
	for pair := range strings.SplitSeq(header, ",") {
		key, encoded, _ := strings.Cut(strings.TrimSpace(pair), " ")
		if !validKey(key) {
			return nil, fmt.Errorf("%w metadata: key %q", store.ErrInvalid, key)
		}
		if _, twice := metadata[key]; twice {
			return nil, fmt.Errorf("%w metadata: key %q comes twice", store.ErrInvalid, key)
		}
		// The decoder skips line breaks, which no header has but a caller may.
		if strings.ContainsAny(encoded, "\r\n") {
			return nil, fmt.Errorf("%w metadata: line break in the value of %q", store.ErrInvalid, key)
		}
		value, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("%w metadata: the value of %q is not base64", store.ErrInvalid, key)
		}
		metadata[key] = string(value)
	}
	return metadata, nil
}

// EncodeMetadata writes an Upload-Metadata header, keys in order. A key that
// the header can't carry is store.ErrInvalid.
func EncodeMetadata(metadata map[string]string) (string, error) {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if !validKey(key) {
			return "", fmt.Errorf("%w metadata: key %q", store.ErrInvalid, key)
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(key)
		if value := metadata[key]; value != "" {
			b.WriteByte(' ')
			b.WriteString(base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	return b.String(), nil
}

// ChangeMetadata returns metadata with these keys set, or removed where the
// value is nil, as if the client had sent it so. A key that no client could have
// sent is store.ErrInvalid.
func ChangeMetadata(metadata map[string]string, changes map[string]*string) (map[string]string, error) {
	changed := make(map[string]string, len(metadata)+len(changes))
	maps.Copy(changed, metadata)
	delete(changed, wireMetadata) // it is not that any more
	for key, value := range changes {
		switch {
		case !validKey(key):
			return nil, fmt.Errorf("%w metadata: key %q", store.ErrInvalid, key)
		case value == nil:
			delete(changed, key)
		default:
			changed[key] = *value
		}
	}
	return changed, nil
}

// validKey: ASCII, neither empty nor with a space or comma, and, as a header
// must stay one line, nothing that isn't printable.
func validKey(key string) bool {
	for _, c := range []byte(key) {
		if c <= ' ' || c == ',' || c > '~' {
			return false
		}
	}
	return key != ""
}
