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
	"net"
	"net/http"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	dialTimeout     = 10 * time.Second
	answerTimeout   = 60 * time.Second // once the body is sent
	stallTimeout    = 60 * time.Second // without the connection taking a byte
	idleTimeout     = 30 * time.Second
	idleConnections = 1024 // more than are made at once: a handshake takes longer than a small object
	maxHeaderBytes  = 64 << 10
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
	d := &dialer{net.Dialer{Timeout: dialTimeout}, config, mem}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
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
