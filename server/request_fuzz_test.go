package server_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store/filestore"
)

// FuzzRequest: whatever the head of a request is, the server answers with
// anything but a fault of its own, and sends no field that the client made up.
func FuzzRequest(f *testing.F) {
	const fields = "Tus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\n"
	f.Add("POST", "", fields+"Upload-Length: 3\r\nUpload-Metadata: filename DQpFdmlsOiAx,a\r\nContent-Length: 3", "abc")
	f.Add("POST", "", fields+"Upload-Concat: final;/files/a ../files/b\r\nX-HTTP-Method-Override: PATCH", "")
	f.Add("PATCH", "0123456789abcdef0123456789abcdef", fields+"Upload-Offset: 0\r\nUpload-Checksum: sha1 AA==", "abc")
	f.Add("PATCH", "%2e%2e%2fx", "Upload-Complete: ?1\r\nUpload-Draft-Interop-Version: 8\r\nTransfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")
	f.Add("HEAD", "x\r\nEvil: 1", "Want-Repr-Digest: crc32c=1\r\nExpect: 100-continue", "")
	address := fuzzedServer(f)
	f.Fuzz(func(t *testing.T, method, path, fields, body string) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		request := method + " /files/" + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + "\r\n\r\n" + body
		if _, err := io.WriteString(conn, request); err != nil {
			return // refused before it was read to its end
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			return // what is no request may get no answer
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusInternalServerError || resp.Header.Get("Evil") != "" {
			t.Fatalf("%q is answered %s %v", request, resp.Status, resp.Header)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.Header.Get("Content-Type") != protocol.ProblemType || len(text) == 0 {
			return
		}
		var p protocol.Problem
		if err := json.Unmarshal(text, &p); err != nil || p.Code == "" || p.Detail == "" || p.Status != resp.StatusCode {
			t.Fatalf("%q is answered %s with %s", request, resp.Status, text)
		}
	})
}

func fuzzedServer(f *testing.F) (address string) {
	f.Helper()
	mem, err := memory.New(nil)
	if err != nil {
		f.Fatal(err)
	}
	files, err := filestore.Open(f.TempDir(), mem, &filestore.Options{ByID: true})
	if err != nil {
		f.Fatal(err)
	}
	srv, err := server.New(files, mem, &server.Options{MaxFileBytes: 1000, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	hs := httptest.NewServer(srv)
	f.Cleanup(func() {
		hs.Close()
		if err := errors.Join(files.Close(), mem.Close()); err != nil {
			f.Error(err)
		}
	})
	return strings.TrimPrefix(hs.URL, "http://")
}
