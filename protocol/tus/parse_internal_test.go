package tus

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

func FuzzChecksum(f *testing.F) {
	f.Add("sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=")
	f.Add("crc32c 4waSgw==")
	f.Add("md5 ")
	f.Fuzz(func(t *testing.T, header string) {
		c, err := parseChecksum(header)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("%q: %v, want ErrInvalid", header, err)
			}
			return
		}
		if h := newHash(c.algorithm); h == nil || h.Size() != len(c.sum) {
			t.Fatalf("%q is %s of %d bytes", header, c.algorithm, len(c.sum))
		}
		if again := c.algorithm + " " + base64.StdEncoding.EncodeToString(c.sum); strings.NewReplacer("\r", "", "\n", "").Replace(header) != again {
			t.Fatalf("%q reads as %q", header, again)
		}
	})
}

// FuzzConcat: whatever the URLs are, an id that comes out is one path element.
func FuzzConcat(f *testing.F) {
	f.Add("partial")
	f.Add("final;/app/files/a http://x/app/files/b ../files/c %2e%2e/d")
	f.Fuzz(func(t *testing.T, header string) {
		parts, err := parseConcat(header)
		if err != nil {
			if !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("%q: %v, want ErrInvalid", header, err)
			}
			return
		}
		if (len(parts) == 0) != (header == "partial") {
			t.Fatalf("%q has the parts %q", header, parts)
		}
		h := NewHandler(protocol.NewCollection(nil, nil), nil)
		r := httptest.NewRequest(http.MethodPost, "/app/files/", nil)
		r.URL.Path = "/files/"
		for _, part := range parts {
			id, err := h.resolve(r, part)
			if err == nil && (id == "" || strings.Contains(id, "/")) {
				t.Fatalf("%q is the id %q", part, id)
			}
			if err != nil && !errors.Is(err, store.ErrInvalid) {
				t.Fatalf("%q: %v, want ErrInvalid", part, err)
			}
		}
	})
}

func TestResolve(t *testing.T) {
	h := NewHandler(protocol.NewCollection(nil, nil), nil)
	r := httptest.NewRequest(http.MethodPost, "/app/files/", nil)
	r.URL.Path = "/files/" // behind http.StripPrefix
	want := []string{"a", "b", "c", "d", "", ""}
	var got []string
	for _, ref := range []string{"/app/files/a", "http://elsewhere/app/files/b?x#y", "c", "../files/d", "/files/e", "/app/files/"} {
		id, err := h.resolve(r, ref)
		if (err == nil) != (id != "") {
			t.Errorf("%s: %q, %v", ref, id, err)
		}
		got = append(got, id)
	}
	if !slices.Equal(got, want) {
		t.Errorf("ids are %q, want %q", got, want)
	}
}
