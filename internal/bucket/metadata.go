package bucket

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/streamflow/streamflow/store"
)

const (
	metaPrefix = "X-Amz-Meta-"
	// markKey is the metadata that tells whose the object is.
	markKey = "streamflow-upload"
	// maxMetadataBytes is what S3 takes, the mark included.
	maxMetadataBytes = 2 << 10
	// MaxMarkBytes is how long the mark of an object may be.
	MaxMarkBytes = 32
)

// encodeMetadata makes headers of metadata. What a header can't carry is encoded
// as S3 itself does it (RFC 2047, section 4.1, "B").
func encodeMetadata(metadata map[string]string) (map[string]string, error) {
	headers, size := make(map[string]string), 0
	for k, v := range metadata {
		if !isToken(k) || k == markKey {
			return nil, fmt.Errorf("%w: metadata key %.40q: S3 keeps lower-case letters, digits and -_. only", store.ErrInvalid, k)
		}
		if !isPlain(v) {
			v = encodedStart + base64.StdEncoding.EncodeToString([]byte(v)) + encodedEnd
		}
		headers[metaPrefix+k] = v
		size += len(k) + len(v)
	}
	if size > maxMetadataBytes-len(markKey)-MaxMarkBytes {
		return nil, fmt.Errorf("%w: %d bytes of metadata: S3 keeps %d", store.ErrInvalid, size, maxMetadataBytes)
	}
	return headers, nil
}

// FitMetadata returns what of metadata an object can have, which may be nothing.
func FitMetadata(metadata map[string]string) map[string]string {
	fits := make(map[string]string)
	for _, k := range slices.Sorted(maps.Keys(metadata)) {
		fits[k] = metadata[k]
		if _, err := encodeMetadata(fits); err != nil {
			delete(fits, k)
		}
	}
	return fits
}

const encodedStart, encodedEnd = "=?UTF-8?B?", "?="

// decodeMetadata returns the metadata of an object, and its mark.
func decodeMetadata(headers map[string]string) (metadata map[string]string, mark string) {
	for k, v := range headers {
		k = strings.ToLower(k)
		if k == markKey {
			mark = v
			continue
		}
		if inner, ok := strings.CutPrefix(v, encodedStart); ok {
			if b, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(inner, encodedEnd)); err == nil {
				v = string(b)
			}
		}
		if metadata == nil {
			metadata = make(map[string]string)
		}
		metadata[k] = v
	}
	return metadata, mark
}

func isToken(k string) bool {
	for _, c := range []byte(k) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-_.", rune(c)) {
			return false
		}
	}
	return k != ""
}

// isPlain: v passes through proxies and S3 as it is.
func isPlain(v string) bool {
	for _, c := range []byte(v) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return v != "" && strings.TrimSpace(v) == v && !strings.HasPrefix(v, "=?")
}
