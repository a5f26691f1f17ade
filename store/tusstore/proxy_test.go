package tusstore_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/streamflow/streamflow/store"
)

// A proxy passes TCP connections on, until left bytes have gone to the server;
// then it cuts them.
type proxy struct {
	ln      net.Listener
	to      string
	left    atomic.Int64
	running sync.WaitGroup
}

func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, to: to}
	p.left.Store(1 << 40)
	p.running.Go(p.accept)
	t.Cleanup(func() {
		check(t, ln.Close())
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.ln.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.ln.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		both := func() { _, _ = client.Close(), server.Close() }
		p.running.Go(func() {
			defer both()
			_, _ = io.Copy(client, server)
		})
		p.running.Go(func() {
			defer both()
			p.pass(server, client)
		})
	}
}

func (p *proxy) pass(server io.Writer, client io.Reader) {
	buffer := make([]byte, 4<<10)
	for {
		n, err := client.Read(buffer)
		if left := p.left.Add(-int64(n)); left < 0 {
			_, _ = server.Write(buffer[:max(int64(n)+left, 0)])
			return
		}
		if _, e := server.Write(buffer[:n]); e != nil || err != nil {
			return
		}
	}
}

func compareStored(t *testing.T, files store.Store, id string, want []byte) {
	t.Helper()
	info, err := files.Stat(t.Context(), id[len(id)-idLength:])
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(info.Location)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("stored %d bytes that differ from the %d sent, error %v", len(got), len(want), err)
	}
}
