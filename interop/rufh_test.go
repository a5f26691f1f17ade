package interop

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// TestGoClient begins an upload by Resumable Uploads for HTTP with the client of
// Go's own library, leaves it in the middle, and goes on.
func TestGoClient(t *testing.T) {
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	trust := certified.Client().Transport.(*http.Transport).TLSClientConfig
	encrypted := certify(t, certified)
	for name, c := range map[string]struct{ tls, http2 bool }{
		"HTTP/1.1": {false, false}, "HTTP/1.1 over TLS": {true, false},
		"HTTP/2": {false, true}, "HTTP/2 over TLS": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var speaks http.Protocols
			speaks.SetHTTP1(!c.http2)
			speaks.SetHTTP2(c.http2 && c.tls)
			speaks.SetUnencryptedHTTP2(c.http2 && !c.tls)
			transport := &http.Transport{Protocols: &speaks, TLSClientConfig: trust.Clone()}
			t.Cleanup(transport.CloseIdleConnections)
			scheme, flags := "http", []string(nil)
			if c.tls {
				scheme, flags = "https", encrypted
			}
			s := startServer(t, ours(flags...))
			goOn(t, &resumer{T: t, server: s, client: &http.Client{Transport: transport}, base: scheme + "://" + s.address()})
		})
	}
}

// certify returns the flags that have a server show the certificate of another.
func certify(t *testing.T, other *httptest.Server) []string {
	t.Helper()
	pair := other.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	if err := errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return []string{"--tls-cert", certFile, "--tls-key", keyFile}
}

// A resumer is a client of Resumable Uploads for HTTP.
type resumer struct {
	*testing.T
	server *server
	client *http.Client
	base   string
}

func goOn(t *testing.T, r *resumer) {
	t.Helper()
	file := source(t, 5*mib+3)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	upload := r.leave(data)

	resp := r.do(http.MethodHead, upload, nil)
	offset, err := strconv.Atoi(resp.Header.Get("Upload-Offset"))
	if err != nil || offset == 0 || offset >= len(data) || resp.Header.Get("Upload-Complete") != "?0" {
		t.Fatalf("in the middle: %s %v", resp.Status, resp.Header)
	}
	resp = r.do(http.MethodPatch, upload, bytes.NewReader(data[offset:]), "Content-Type", "application/partial-upload",
		"Upload-Offset", strconv.Itoa(offset), "Upload-Complete", "?1")
	if resp.StatusCode/100 != 2 || resp.Header.Get("Upload-Complete") != "?1" {
		t.Fatalf("at the end: %s %v", resp.Status, resp.Header)
	}
	if err := r.server.holds(upload, file); err != nil {
		t.Error(err)
	}
}

// leave sends one half and then little by little, and goes when a 104 has said
// where the upload is, and another that something of it is there.
func (r *resumer) leave(data []byte) string {
	r.Helper()
	heard := make(chan textproto.MIMEHeader, 100)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(status int, h textproto.MIMEHeader) error {
		if status == 104 {
			heard <- h
		}
		return nil
	}})
	body, w := io.Pipe()
	errLeft := errors.New("left in the middle")
	defer w.CloseWithError(errLeft)
	req := r.request(ctx, http.MethodPost, "/files/", body, "Upload-Complete", "?1", "Upload-Length", strconv.Itoa(len(data)))
	ended := make(chan error, 1)
	go func() {
		resp, err := r.client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		ended <- err
	}()
	sent := len(data) / 2
	if _, err := w.Write(data[:sent]); err != nil {
		r.Fatal(err)
	}
	location := ""
	for offset := ""; offset == ""; {
		select {
		case h := <-heard:
			if h.Get("Upload-Draft-Interop-Version") != "8" || (h.Get("Location") == "") == (location == "") {
				r.Fatalf("a 104 has %v", h)
			}
			offset = h.Get("Upload-Offset")
			if location == "" {
				location = h.Get("Location")
			}
		case <-time.After(50 * time.Millisecond):
			if _, err := w.Write(data[sent : sent+1]); err != nil {
				r.Fatal(err)
			}
			sent++
		case err := <-ended:
			r.Fatalf("it ended before it was left: %v", err)
		case <-ctx.Done():
			r.Fatalf("the upload is at %q, and no 104 says how far it is", location)
		}
	}
	_ = w.CloseWithError(errLeft)
	if err := <-ended; !errors.Is(err, errLeft) {
		r.Errorf("it ended before it was left: %v", err)
	}
	at, err := url.Parse(location)
	if err != nil {
		r.Fatal(err)
	}
	return at.Path
}

func (r *resumer) request(ctx context.Context, method, path string, body io.Reader, headers ...string) *http.Request {
	r.Helper()
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, body)
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Upload-Draft-Interop-Version", "8")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

func (r *resumer) do(method, path string, body io.Reader, headers ...string) *http.Response {
	r.Helper()
	resp, err := r.client.Do(r.request(r.Context(), method, path, body, headers...))
	if err != nil {
		r.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		r.Fatal(err)
	}
	return resp
}
