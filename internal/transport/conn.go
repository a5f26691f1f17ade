package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// A body is copied to a connection through as much as can be spared of this, and
// through what io.Copy takes where that isn't more.
const (
	maxCopyBytes = 256 << 10
	minCopyBytes = 64 << 10
)

// A dialer makes the connections of a transport.
type dialer struct {
	net    net.Dialer
	config *tls.Config // may be nil
	mem    *memory.Manager
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &conn{c, nil, d.mem}, nil
}

func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newStallingConn(c)
}

// dialTLS is not for TLS through a proxy: net/http makes that itself, and copies
// bodies to it in its own small buffers.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	secure, err := d.secure(ctx, c, address)
	if err != nil {
		_ = c.Close()
		return nil, err // as it is: net/http looks for the answer of a server without TLS
	}
	return secure, nil
}

// secure makes TLS of a connection.
func (d *dialer) secure(ctx context.Context, c net.Conn, address string) (*conn, error) {
	below := &batch{Conn: c}
	client := tls.Client(below, d.configFor(address))
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	if client.ConnectionState().Version < tls.VersionTLS12 {
		below = nil // a Write of TLS 1.0 may begin with a record of one byte
	}
	return &conn{client, below, d.mem}, nil
}

func (d *dialer) configFor(address string) *tls.Config {
	config := d.config.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	// Small records at first would let the other side begin to read sooner. It
	// has nothing to do before a body is whole, and each costs a system call. A
	// batch relies on it, too.
	config.DynamicRecordSizingDisabled = true
	return config
}

// A stallingConn is a connection that notices when the other side takes nothing more.
// It is for one writer at a time.
//
// A deadline costs more than a small write, so one is set only where the last has
// passed.
type stallingConn struct {
	net.Conn
	moved bool // no deadline was missed since the other side took something
}

func newStallingConn(c net.Conn) (*stallingConn, error) {
	if err := c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return &stallingConn{c, true}, nil
}

// Write fails once no byte has been taken for stallTimeout, or up to twice that.
func (c *stallingConn) Write(p []byte) (int, error) {
	for written := 0; ; {
		n, err := c.Conn.Write(p[written:])
		written += n
		c.moved = c.moved || n > 0
		switch {
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return written, err
		case !c.moved:
			return written, fmt.Errorf("the server took nothing for %v: %w", stallTimeout, err)
		}
		c.moved = false
		if err := c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
			return written, err
		}
	}
}

// A conn is a connection to which bodies are copied through buffers of mem.
type conn struct {
	net.Conn
	below *batch // nil where there are no records to gather
	mem   *memory.Manager
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.below != nil {
		c.below.expect(len(p))
	}
	return c.Conn.Write(p)
}

// ReadFrom implements io.ReaderFrom: net/http hands it a body of known size, as an
// *io.LimitedReader. Records of it go out together, where it is long enough for that
// and a buffer can be spared.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	body, ok := r.(*io.LimitedReader)
	if !ok {
		body = &io.LimitedReader{R: r, N: math.MaxInt64}
	}
	if c.below == nil || body.N < 2*recordBytes {
		return c.copyFrom(body)
	}
	giveBack := c.below.lend(c.mem)
	n, err := c.copyFrom(body)
	return n, errors.Join(err, giveBack())
}

// copyFrom has a body write itself, where it lies in memory. Else up to eight times
// the 32 KiB that io.Copy would take saves most of the system calls.
func (c *conn) copyFrom(body *io.LimitedReader) (int64, error) {
	onlyWriter := struct{ io.Writer }{c}
	if from, ok := body.R.(io.WriterTo); ok {
		return from.WriteTo(&boundedWriter{onlyWriter, body.N})
	}
	most := maxCopyBytes
	if body.N <= minCopyBytes {
		most = minCopyBytes
	}
	buffer, err := c.mem.AcquireSpare(memory.KindTransfer, minCopyBytes, most)
	if err != nil {
		return io.Copy(onlyWriter, body)
	}
	n, err := io.CopyBuffer(onlyWriter, body, buffer.Bytes())
	return n, errors.Join(err, buffer.Release())
}

// A boundedWriter takes as much as was announced of a body, whatever that thinks.
type boundedWriter struct {
	w    io.Writer
	left int64
}

func (b *boundedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, http.ErrContentLength
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	return n, err
}
