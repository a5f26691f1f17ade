package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/streamflow/streamflow/memory"
)

// What a client costs beside the buffers of the store, in bytes:
// TestConnectionCost holds them to it.
const (
	// connectionBytes is a connection with a request on it: the three buffers of
	// net/http (10 KiB), the stack of a goroutine (8 KiB), headers, what there is
	// of the request and its upload (7 KiB), and some of what the collector leaves.
	connectionBytes = 28 << 10
	// tlsBytes is what TLS has besides: a record being put together, and keys.
	tlsBytes = 20 << 10
	// requestBytes is a request alone, on somebody else's connection or a stream
	// of HTTP/2.
	requestBytes = 12 << 10
	// streamsBytes is what HTTP/2 has beside windows and uploads: two goroutines,
	// their buffers, the tables of header fields both ways, and requests without
	// a body.
	streamsBytes = 128 << 10
)

// A listener charges for each connection before it is accepted. Where there is
// no room the next client waits with the system for a while, and nothing is read
// of it; then it comes into the lobby.
type listener struct {
	net.Listener
	mem    *memory.Manager
	lobby  lobby
	sizes  []int64 // that add up to one connection, and that aren't rounded up
	logger *slog.Logger
	ctx    context.Context // of Accept; it ends with Close
	cancel context.CancelFunc

	mu   sync.Mutex
	open map[*connection]struct{}
}

// connectionShare is the part of the budget that connections may have, in
// sixteenths: above the mark of level critical, so that a client is told of it,
// and with something left for bodies to go on.
const connectionShare = 15

// listen returns a listener with a manager of its own for the connections, which
// closing it gives back.
func (s *Server) listen(ln net.Listener) (*listener, error) {
	mem, err := s.mem.Child("connections", &memory.ChildOptions{Limit: s.mem.Limit() / 16 * connectionShare})
	if err != nil {
		return nil, err
	}
	l := &listener{
		Listener: ln, mem: mem, sizes: []int64{20 << 10, connectionBytes - 20<<10},
		logger: s.opts.Logger, open: map[*connection]struct{}{},
	}
	if s.opts.TLS != nil {
		l.sizes = append(l.sizes, tlsBytes)
	}
	if l.lobby, err = newLobby(s.mem, l.sizes); err != nil {
		return nil, errors.Join(err, mem.Close())
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	charge, visitor, err := l.room()
	if err != nil {
		if l.ctx.Err() != nil {
			err = net.ErrClosed
		}
		return nil, err
	}
	conn, err := l.Listener.Accept()
	c := &connection{Conn: conn, listener: l, charges: []memory.Reservation{charge}}
	if err != nil {
		c.release()
		if l.ctx.Err() == nil {
			l.logger.Warn("a connection can't be accepted", "error", err)
		}
		return nil, err // as it is: net/http goes on after one that passes, and ends at any other
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = struct{}{}
	if visitor {
		c.visitor.Store(true)
		l.lobby.visitors = append(l.lobby.visitors, c)
	}
	return c, nil
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.cancel()
	return l.Listener.Close()
}

// drop closes the connections that are left. After its Shutdown net/http may
// still be about to close some, and one that was just accepted it doesn't know.
func (l *listener) drop() {
	l.mu.Lock()
	left := slices.Collect(maps.Keys(l.open))
	l.mu.Unlock()
	for _, c := range left {
		_ = c.Close() // also where somebody else has
	}
}

// A connection gives back what it was charged for when it is closed.
type connection struct {
	net.Conn
	listener *listener
	visitor  atomic.Bool // in the lobby
	sharing  sync.Once
	shared   atomic.Bool            // by requests at the same time
	refused  error                  // why it is not shared
	ending   atomic.Pointer[ending] // of the body being read, or nil
	handled  atomic.Bool            // from the handler of a request on to the end of its answer

	mu      sync.Mutex
	charges []memory.Reservation
	closed  bool
}

type connectionKey struct{}

// withConnection is for http.Server.ConnContext.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, accepted(conn))
}

// accepted is what the listener returned, or nil.
func accepted(conn net.Conn) *connection {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	c, _ := conn.(*connection)
	return c
}

// answered is for http.Server.ConnState. Where requests share a connection what is
// left of an answer may still be on its way.
func answered(conn net.Conn, state http.ConnState) {
	if c := accepted(conn); c != nil && state == http.StateIdle && !c.shared.Load() {
		c.handled.Store(false)
	}
}

// connectionOf returns nil for one that was accepted by somebody else.
func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// share charges once for what the connection costs that many requests share.
func (c *connection) share(ctx context.Context, bytes int64) error {
	c.sharing.Do(func() {
		charge, err := c.listener.mem.Reserve(ctx, memory.KindConnection, bytes)
		if err != nil {
			c.refused = err
			return
		}
		c.shared.Store(true)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.charges = append(c.charges, charge)
		if c.closed {
			c.release()
		}
	})
	return c.refused
}

// Read implements net.Conn. What reads one byte is no body: it is how net/http
// watches for the client to go, in a goroutine of its own that begins while the body's
// last Read is under way.
func (c *connection) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if e := c.ending.Load(); e != nil && n > 0 && len(p) > 1 {
		e.came(n)
	}
	return n, err
}

// Write implements net.Conn. What net/http says before there is a request to
// handle is a refusal of its own.
func (c *connection) Write(p []byte) (int, error) {
	if !c.handled.Load() {
		if refusal := refusedByHTTP(p); refusal != nil {
			return len(p), c.refuse(refusal)
		}
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	c.listener.leaveLobby(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.release()
	return err
}

func (c *connection) release() {
	for _, charge := range c.charges {
		if err := charge.Release(); err != nil {
			c.listener.logger.Error("release memory of a connection", "error", err)
		}
	}
	c.charges = nil
}

// ReadFrom implements io.ReaderFrom: the system sends files.
func (c *connection) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// CloseWrite ends one direction, so that a client gets an answer that it has not
// asked for yet.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
