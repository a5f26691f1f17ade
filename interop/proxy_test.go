package interop

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A proxy stands between client and server, and does something to what passes
// when so many bytes have passed to the server.
type proxy struct {
	listener net.Listener
	upstream string
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	passed int64
	at     int64
	strike func(server net.Conn)
	deaf   map[net.Conn]bool // lose what the client sends
}

func startProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, upstream: upstream, conns: map[net.Conn]bool{}, deaf: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) endpoint() string { return "http://" + p.listener.Addr().String() + "/files/" }

// after has strike called once, when n more bytes have passed, with the
// connection that brought the last one; nil is never.
func (p *proxy) after(n int64, strike func(server net.Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passed, p.at, p.strike = 0, n, strike
}

// sent is how many bytes have passed since after was called.
func (p *proxy) sent() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.passed
}

// cut ends every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for conn := range p.conns {
		_ = conn.Close()
	}
}

// hold loses whatever the connection still brings: the client sends into the
// void until it gives up.
func (p *proxy) hold(server net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf[server] = true
}

func (p *proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(conn) })
	}
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp4", p.upstream)
	if err != nil {
		return
	}
	defer server.Close()
	// What the kernel takes in, the client counts as sent, and what it holds the
	// server hasn't read.
	_ = client.(*net.TCPConn).SetReadBuffer(64 * kib)
	_ = server.(*net.TCPConn).SetWriteBuffer(64 * kib)
	p.track(client, server)
	defer p.untrack(client, server)
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(struct{ io.Writer }{client}, server)
		_ = client.Close()
	})
	p.requests(client, server)
	_ = server.Close()
	answers.Wait()
}

func (p *proxy) requests(client io.Reader, server net.Conn) {
	buffer := make([]byte, 16*kib)
	for {
		n, err := client.Read(buffer)
		if n > 0 && !p.pass(server, buffer[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) pass(server net.Conn, b []byte) bool {
	p.mu.Lock()
	deaf := p.deaf[server]
	p.mu.Unlock()
	if deaf {
		// Slowly, as a client tells its progress ten times a second only.
		time.Sleep(4 * time.Millisecond)
		return true
	}
	_, err := server.Write(b)
	p.mu.Lock()
	p.passed += int64(len(b))
	var strike func(net.Conn)
	if p.passed >= p.at {
		strike, p.strike = p.strike, nil
	}
	p.mu.Unlock()
	if strike != nil {
		strike(server)
	}
	return err == nil
}

func (p *proxy) track(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.conns[conn] = true
	}
}

func (p *proxy) untrack(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.conns, conn)
		delete(p.deaf, conn)
	}
}
