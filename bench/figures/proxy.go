package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// proxyBuffer is the most a proxy holds of a request that it hasn't passed on.
const proxyBuffer = 64 * kib

// A proxy stands between the client and the server, and sees from the wire
// alone which bytes of the upload pass a second time. Its address stays while
// the server behind it comes and goes. Close ends it.
type proxy struct {
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	upstream string // host:port
	conns    map[net.Conn]bool
	passed   int64 // bytes of the upload, each as often as it passed
	highest  int64 // end of what has passed
	excused  int64 // bytes that sat in socket buffers at the kills since the last PATCH
	creates  int
	resumes  []resume
}

// A resume is a PATCH that didn't begin where the one before it had come to.
type resume struct {
	Offset  int64 `json:"offset"`
	Resent  int64 `json:"resent_bytes"`
	Excused int64 `json:"in_socket_buffers"`
}

func newProxy(ctx context.Context) (*proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	p := &proxy{listener: listener, conns: map[net.Conn]bool{}}
	p.wg.Go(func() { p.accept(ctx) })
	return p, nil
}

func (p *proxy) port() int { return p.listener.Addr().(*net.TCPAddr).Port }

func (p *proxy) url() string { return fmt.Sprintf("http://127.0.0.1:%d/files/", p.port()) }

func (p *proxy) accept(ctx context.Context) {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wg.Go(func() { p.serve(ctx, conn) })
	}
}

// serve copies one connection both ways until either side ends it.
func (p *proxy) serve(ctx context.Context, client net.Conn) {
	p.mu.Lock()
	upstream := p.upstream
	p.mu.Unlock()
	server, err := new(net.Dialer).DialContext(ctx, "tcp4", upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	p.track(client, server)
	defer p.untrack(client, server)
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(struct{ io.Writer }{client}, server)
		_ = client.Close()
	})
	p.requests(client, server)
	_ = server.(*net.TCPConn).CloseWrite()
	answers.Wait()
}

// requests passes on what the client sends while it reads along.
func (p *proxy) requests(client io.Reader, server io.Writer) {
	reader := bufio.NewReaderSize(io.TeeReader(client, server), proxyBuffer)
	buffer := make([]byte, proxyBuffer)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		position := p.begin(request)
		for {
			n, err := request.Body.Read(buffer)
			if position >= 0 {
				position += int64(n)
				p.reached(position, int64(n))
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
		}
	}
}

// begin notes a request and returns the offset of its body, or -1 where it
// carries no bytes of the upload.
func (p *proxy) begin(request *http.Request) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch request.Method {
	case http.MethodPost:
		p.creates++
		return 0
	case http.MethodPatch:
	default:
		return -1
	}
	offset, err := strconv.ParseInt(request.Header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return -1
	}
	if offset != p.highest || p.excused > 0 {
		p.resumes = append(p.resumes, resume{offset, max(0, p.highest-offset), p.excused})
		p.excused = 0
	}
	return offset
}

func (p *proxy) reached(position, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.highest = max(p.highest, position)
	p.passed += n
}

func (p *proxy) position() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.highest
}

// connect sends new connections to the server at address.
func (p *proxy) connect(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upstream = address
}

// excuse lets the next resume begin n bytes earlier: they were in socket
// buffers when a side was killed.
func (p *proxy) excuse(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.excused += n
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
		_ = conn.Close()
	}
}

// close ends every connection and waits for the goroutines behind them.
func (p *proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for conn := range p.conns {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
