package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// start returns a server that answers with what it is sent, and a client of it.
func start(t *testing.T, secure bool) (*httptest.Server, *http.Client, *memory.Manager) {
	t.Helper()
	mem, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	config := &tls.Config{}
	if secure {
		s.StartTLS()
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AddCert(s.Certificate())
	} else {
		s.Start()
	}
	rt := transport.New(mem, config)
	t.Cleanup(func() {
		rt.CloseIdleConnections()
		s.Close()
		if held := mem.Close(); held != nil {
			t.Errorf("held at the end: %v", held)
		}
	})
	return s, &http.Client{Transport: rt}, mem
}

// A body is read in large pieces, over TLS and without.
func TestBodiesPassThroughLargeBuffers(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			s, client, mem := start(t, secure)
			want := bytes.Repeat([]byte("streamflow"), 200_000)
			r := &measuredReader{r: bytes.NewReader(want)}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, r)
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = int64(len(want))
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back, %v; want the %d that were sent", len(got), err, len(want))
			}
			if most := r.most.Load(); most < 256<<10 {
				t.Errorf("the body was read %d bytes at a time, want 256 KiB", most)
			}
			if peak := mem.Stats().Peak; peak < 256<<10 {
				t.Errorf("the budget has seen %d bytes at most: the buffer is none of its own", peak)
			}
		})
	}
}

type measuredReader struct {
	r    io.Reader
	most atomic.Int64
}

func (r *measuredReader) Read(p []byte) (int, error) {
	r.most.Store(max(r.most.Load(), int64(len(p))))
	return r.r.Read(p)
}

// What won't pass by itself is no reason to try again.
func TestFailureOfAHandshakeIsPermanent(t *testing.T) {
	secure, _, _ := start(t, true)
	plain, _, mem := start(t, false)
	https := *mustParse(t, plain.URL)
	https.Scheme = "https"
	for name, address := range map[string]string{
		"unknown certificate": secure.URL,
		"no TLS":              https.String(),
	} {
		t.Run(name, func(t *testing.T) {
			rt := transport.New(mem, nil)
			defer rt.CloseIdleConnections()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
				t.Fatal("there was an answer")
			}
			if err = transport.Failure(context.Background(), err); errors.As(err, new(*store.TransientError)) {
				t.Errorf("%v: it is called transient", err)
			}
		})
	}
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A lyingBody writes itself, in one piece, and may be longer than was announced.
type lyingBody struct{ *bytes.Reader }

func (lyingBody) Close() error { return nil }

func TestBodyThatWritesItself(t *testing.T) {
	content := bytes.Repeat([]byte("streamflow"), 200_000)
	for name, c := range map[string]struct {
		announced int64
		failure   error
	}{
		"as long as announced": {int64(len(content)), nil},
		"longer":               {int64(len(content)) - 1, http.ErrContentLength},
	} {
		t.Run(name, func(t *testing.T) {
			s, client, mem := start(t, true)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL, lyingBody{bytes.NewReader(content)})
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = c.announced
			resp, err := client.Do(req)
			if !errors.Is(err, c.failure) {
				t.Fatalf("got %v, not %v", err, c.failure)
			}
			if err != nil {
				return
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%d bytes came back: %v", len(got), err)
			}
			if kinds := mem.Stats().Active; kinds != 0 {
				t.Errorf("%d resources are held", kinds)
			}
		})
	}
}
