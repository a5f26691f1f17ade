package transport

import (
	"net/url"
	"strings"
)

// hidden stands for what isn't shown, as in url.URL.Redacted.
const hidden = "xxxxx"

// Shown returns a URL for texts and logs. It has neither password nor query: a
// signed URL has its signature there, which is all it takes to use it.
func Shown(u *url.URL) string {
	shown := *u
	if shown.RawQuery != "" {
		shown.RawQuery = hidden
	}
	return shown.Redacted()
}

// ShownText is [Shown] of what may be the URL of a server. Anything else, such as a
// path, is shown as it is.
func ShownText(text string) string {
	scheme, _, _ := strings.Cut(text, "://")
	if !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return scheme + "://" + hidden // the error's text would have it all
	}
	return Shown(u)
}
