package main

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/streamflow/streamflow/internal/bytesize"
)

// A gate stands before a server. It lets so many bytes of clients through, and
// holds the rest until it is opened. It outlives the server.
type gate struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	change *sync.Cond
	left   int64
	opened bool
	conns  []net.Conn
	wait   sync.WaitGroup
}

// gate VARIABLE URL SIZE makes VARIABLE a URL that leads to URL through a gate
// that closes after SIZE bytes. gate full waits until it has; gate open opens
// it for good.
func gateCommand(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "full":
		eventually(ts, "that the gate closes", runningIn(ts).gate.isFull)
	case "open":
		runningIn(ts).gate.open()
	default:
		startGate(ts, args)
	}
}

func startGate(ts *testscript.TestScript, args []string) {
	u, err := url.Parse(args[1])
	ts.Check(err)
	left, err := bytesize.Parse(args[2])
	ts.Check(err)
	// What waits in a large window would come through even after its sender's death.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<10)
		})
	}}
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	g := &gate{listener: listener, target: u.Host, left: left}
	g.change = sync.NewCond(&g.mu)
	g.wait.Go(g.accept)
	ts.Defer(g.close)
	u.Host = listener.Addr().String()
	ts.Setenv(args[0], u.String())
	runningIn(ts).gate = g
}

func (g *gate) accept() {
	for {
		client, err := g.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", g.target)
		if err != nil {
			client.Close()
			continue
		}
		g.mu.Lock()
		g.conns = append(g.conns, client, server)
		g.mu.Unlock()
		g.wait.Go(func() {
			defer server.Close()
			_, _ = io.Copy(server, held{g, client})
		})
		g.wait.Go(func() {
			defer client.Close()
			_, _ = io.Copy(client, server)
		})
	}
}

// held reads from a client as far as the gate lets it.
type held struct {
	g *gate
	r io.Reader
}

func (h held) Read(p []byte) (int, error) {
	h.g.mu.Lock()
	for h.g.left <= 0 && !h.g.opened {
		h.g.change.Wait()
	}
	if !h.g.opened {
		p = p[:min(int64(len(p)), h.g.left)]
	}
	h.g.mu.Unlock()
	n, err := h.r.Read(p)
	h.g.mu.Lock()
	h.g.left -= int64(n)
	h.g.change.Broadcast()
	h.g.mu.Unlock()
	return n, err
}

// isFull reports whether the gate has closed.
func (g *gate) isFull() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.left <= 0 || g.opened
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opened = true
	g.change.Broadcast()
}

func (g *gate) close() {
	g.open()
	g.listener.Close()
	g.mu.Lock()
	for _, c := range g.conns {
		c.Close()
	}
	g.mu.Unlock()
	g.wait.Wait()
}
