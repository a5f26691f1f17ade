// Package transport makes HTTP/1.1 connections for stores that are servers: with
// timeouts that notice a dead or stalled server, and with buffers of the budget. It
// reads what the answers of such servers have in common.
//
// Its transports are safe for concurrent use.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	dialTimeout     = 10 * time.Second
	answerTimeout   = 60 * time.Second // once the body is sent
	stallTimeout    = 60 * time.Second // without the connection taking a byte
	idleTimeout     = 30 * time.Second
	idleConnections = 32 // a request for a small object is over sooner than a handshake
	maxHeaderBytes  = 64 << 10
	copyBufferBytes = 256 << 10
)

// ConnectionBytes is what a request costs in net/http: two copy buffers of
// 32 KiB, two of 4 KiB, and the stacks of its two goroutines. It is for the
// caller to reserve.
const ConnectionBytes = 88 << 10

// New returns a transport for HTTP/1.1: the windows of HTTP/2 would be memory
// outside the budget, and an upload has one stream. It copies bodies through
// buffers of mem where there is room for one. A nil config means defaults.
func New(mem *memory.Manager, config *tls.Config) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &conn{c, mem}, nil
		},
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  answerTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    idleConnections,
		MaxResponseHeaderBytes: maxHeaderBytes,
		DisableCompression:     true,
		Protocols:              &protocols,
	}
}

// A conn is a connection that notices when the other side takes nothing more.
type conn struct {
	net.Conn
	mem *memory.Manager
}

// Write fails once no byte has been taken for stallTimeout.
func (c *conn) Write(p []byte) (int, error) {
	for written := 0; ; {
		if err := c.SetWriteDeadline(time.Now().Add(stallTimeout)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[written:])
		written += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if n > 0 {
				continue
			}
			err = fmt.Errorf("the server took nothing for %v: %w", stallTimeout, err)
		}
		return written, err
	}
}

// ReadFrom implements io.ReaderFrom: net/http hands it a body of known size.
// Eight times the 32 KiB that io.Copy would take saves most of the system calls.
func (c *conn) ReadFrom(r io.Reader) (n int64, err error) {
	onlyWriter := struct{ io.Writer }{c}
	buffer, err := c.mem.TryAcquire(memory.KindTransfer, copyBufferBytes)
	if err != nil {
		return io.Copy(onlyWriter, r)
	}
	defer func() { err = errors.Join(err, buffer.Release()) }()
	return io.CopyBuffer(onlyWriter, r, buffer.Bytes())
}

// Failure says whether trouble on the way to the server may pass: then the error
// is a *store.TransientError. Where ctx has ended, it is the context's.
func Failure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound,
		errors.As(err, &certificate), errors.As(err, &record), errors.As(err, &alert):
		return fmt.Errorf("reach the server: %w", err)
	}
	return store.Transient(fmt.Errorf("reach the server: %w", err))
}
