package rufh

import (
	"net/http"
	"strconv"

	"github.com/dunglas/httpsfv"
)

// integer reads a field that is a count (RFC 9651, section 3.3.1). One that is
// missing, of another type or negative is as good as none.
func integer(header http.Header, name string) (n int64, ok bool) {
	n, ok = item(header, name).(int64)
	return n, ok && n >= 0
}

// boolean reads a field that is ?0 or ?1 (RFC 9651, section 3.3.6).
func boolean(header http.Header, name string) (b, ok bool) {
	b, ok = item(header, name).(bool)
	return b, ok
}

// item reads a field of one item, without its parameters. It is nil where there
// is none or it is malformed.
func item(header http.Header, name string) any {
	parsed, err := httpsfv.UnmarshalItem(header.Values(name))
	if err != nil {
		return nil
	}
	return parsed.Value
}

// interop returns the version that a client speaks, or 0 if that is none of ours.
func interop(header http.Header) int64 {
	if v, ok := integer(header, HeaderInterop); ok && (v == version6 || v == version8) {
		return v
	}
	return 0
}

func format(n int64) string { return strconv.FormatInt(n, 10) }

func formatBoolean(b bool) string {
	if b {
		return "?1"
	}
	return "?0"
}
