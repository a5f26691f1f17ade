package clusterstore_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
)

// typed notes the media types and content codings that objects outside .streamflow/ are made with.
type typed struct {
	next http.RoundTripper

	mu    sync.Mutex
	types []string
}

func (c *typed) RoundTrip(r *http.Request) (*http.Response, error) {
	begins := r.Method == http.MethodPost && r.URL.Query().Has("uploads")
	puts := r.Method == http.MethodPut && r.URL.RawQuery == ""
	if (begins || puts) && !strings.Contains(r.URL.Path, "/.streamflow/") {
		c.mu.Lock()
		c.types = append(c.types, strings.TrimSpace(r.Header.Get("Content-Type")+" "+r.Header.Get("Content-Encoding")))
		c.mu.Unlock()
	}
	return c.next.RoundTrip(r)
}

// TestMediaType: an object goes by what its client declared, or by the extension of
// its name, or by its first bytes, however it came.
func TestMediaType(t *testing.T) {
	f := newFleet(t, 0)
	count := &typed{next: newTransport(t, f.mem)}
	nodes := make([]*clusterstore.Store, 2)
	for i := range nodes {
		nodes[i] = openOver(t, f.gateway, f.bucket, f.mem, count)
	}
	pdf := []byte("%PDF-1.7 and so on")
	large := append(bytes.Clone(pdf), random(6*mib)...)
	declare := func(what string) map[string]string { return map[string]string{"filetype": what} }
	for name, c := range map[string]struct {
		spec store.Spec
		data []byte
		want string
	}{
		"by first bytes":         {store.Spec{Name: "x"}, pdf, "application/pdf"},
		"by first bytes, large":  {store.Spec{}, large, "application/pdf"},
		"read before it ends":    {store.Spec{Readable: true}, large, "application/pdf"},
		"by extension":           {store.Spec{Name: "x.html"}, pdf, "text/html; charset=utf-8"},
		"declared":               {store.Spec{Name: "x.html", Metadata: declare("Image/PNG")}, large, "image/png"},
		"declared, but not well": {store.Spec{Name: "x.html", Metadata: declare("a web page")}, pdf, "text/html; charset=utf-8"},
		"declared as any bytes":  {store.Spec{Metadata: declare("application/octet-stream")}, pdf, "application/pdf"},
		"with a coding":          {store.Spec{Name: "x.txt", ContentCoding: "gzip"}, pdf, "text/plain; charset=utf-8 gzip"},
		"with a coding, large":   {store.Spec{Name: "x", ContentCoding: "gzip"}, large, "application/octet-stream gzip"},
		"empty":                  {store.Spec{Name: "x"}, nil, "application/octet-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			count.types = nil
			c.spec.Length = int64(len(c.data))
			u, info, err := nodes[0].Create(t.Context(), c.spec)
			check(t, err)
			// The bytes come to one node and then to another.
			for i, part := range [][]byte{c.data[:len(c.data)/2], c.data[len(c.data)/2:]} {
				u, _, err = nodes[i].Open(t.Context(), info.ID)
				check(t, err)
				_, err = u.Write(t.Context(), int64(i*(len(c.data)/2)), bytes.NewReader(part), int64(len(part)))
				check(t, err)
			}
			_, err = u.Finish(t.Context(), store.Sum{})
			check(t, err)
			if got := strings.Join(count.types, ", "); got != c.want {
				t.Errorf("made as %q, want %q", got, c.want)
			}
		})
	}
	t.Run("concatenated", func(t *testing.T) {
		count.types = nil
		var ids []string
		for _, data := range [][]byte{large, []byte("<html>")} {
			u, info, err := nodes[0].Create(t.Context(), store.Spec{Length: int64(len(data)), Readable: true})
			check(t, err)
			_, err = u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data)))
			check(t, err)
			ids = append(ids, info.ID)
		}
		u, _, err := nodes[1].Concatenate(t.Context(), store.Spec{}, ids)
		check(t, err)
		_, err = u.Finish(t.Context(), store.Sum{})
		check(t, err)
		if got := strings.Join(count.types, ", "); got != "application/pdf" {
			t.Errorf("made as %q, want application/pdf", got)
		}
	})
}
