package transport_test

import (
	"testing"

	"github.com/streamflow/streamflow/internal/transport"
)

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"https://host/files/":             "https://host/files/",
		"https://host/files/1?grant=a.b":  "https://host/files/1?xxxxx",
		"https://me:pass@host/?a=1&b=2#c": "https://me:xxxxx@host/?xxxxx#c",
		"24e533e02ec3":                    "24e533e02ec3",
		"http://host/%zz?grant=a.b":       "http://xxxxx",
		"50%?.txt":                        "50%?.txt",
		"s3://bucket/a?b":                 "s3://bucket/a?b",
	} {
		if got := transport.ShownText(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}
