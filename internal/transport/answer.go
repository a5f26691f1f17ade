package transport

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	maxRetryAfter  = time.Hour
	maxDetailRunes = 300
)

// RetryAfter reads how long a server asks to be left alone, in seconds or as a
// date (RFC 9110, section 10.2.3): 0 where it doesn't, an hour at most.
func RetryAfter(h http.Header) time.Duration {
	value := h.Get("Retry-After")
	var after time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		after = time.Until(at)
	}
	return min(max(after, 0), maxRetryAfter)
}

// Printable makes one short line of a server's text that is safe on a terminal.
func Printable(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	runes := []rune(strings.TrimSpace(text))
	return string(runes[:min(len(runes), maxDetailRunes)])
}
