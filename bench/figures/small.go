package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	smallBytes   = kib
	smallClients = 16
)

// batch is what one server made of many small uploads.
type batch struct {
	Server    string  `json:"server"`
	PerSecond float64 `json:"uploads_per_second"`
	CPU       float64 `json:"cpu_microseconds_per_upload"`
	FirstMiB  float64 `json:"peak_mib_after_a_fifth"`
	PeakMiB   float64 `json:"peak_mib"`
}

// measureSmall creates uploads of 1 KiB with their bytes, over connections that
// are kept, in interleaved rounds.
func measureSmall(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	tools, err := b.peers(ctx)
	if err != nil {
		return err
	}
	names := []string{ours, peerServer, syncedServer}
	runs := map[string][]batch{}
	for name := range inTurns(b.random, b.count(3, 1), names) {
		r, err := b.sendSmall(ctx, tools, name)
		if err != nil {
			return fmt.Errorf("to %s: %w", name, err)
		}
		b.report.raw(r)
		runs[name] = append(runs[name], r)
	}
	b.report.columns("server", "uploads/s", "CPU µs", "peak MiB after a fifth", "peak MiB")
	for _, name := range names {
		b.report.row(name, medianOf(runs[name], func(r batch) float64 { return r.PerSecond }),
			medianOf(runs[name], func(r batch) float64 { return r.CPU }),
			medianOf(runs[name], func(r batch) float64 { return r.FirstMiB }),
			medianOf(runs[name], func(r batch) float64 { return r.PeakMiB }))
	}
	b.report.atMost("growth of our peak after the first fifth", medianOf(runs[ours], func(r batch) float64 { return r.PeakMiB / r.FirstMiB }), 1.1)
	if !b.quick {
		b.report.atLeast("rate over tusd with our promise", ratio(runs[ours], runs[syncedServer], func(r batch) float64 { return r.PerSecond }), 1.5)
	}
	return nil
}

func (b *bench) sendSmall(ctx context.Context, tools peerTools, name string) (batch, error) {
	n := int(b.size(100_000*mib, 1000*mib) / mib) // -size counts uploads here
	store, err := b.freshDir("store")
	if err != nil {
		return batch{}, err
	}
	s, err := b.startNamed(ctx, tools, name, store)
	if err != nil {
		return batch{}, err
	}
	clients, err := dialAll(ctx, s.url)
	if err != nil {
		s.kill()
		return batch{}, err
	}
	send := func(int) error {
		c := <-clients
		defer func() { clients <- c }()
		return c.send()
	}
	start := time.Now()
	err = inParallel(n/5, smallClients, send)
	s.samplePeak()
	first := s.peakRSS()
	if err == nil {
		err = inParallel(n-n/5, smallClients, send)
	}
	took := time.Since(start)
	for range smallClients {
		err = errors.Join(err, (<-clients).Close())
	}
	u, stopErr := s.end()
	return batch{
		Server: name, PerSecond: float64(n) / took.Seconds(), CPU: float64(u.CPU.Microseconds()) / float64(n),
		FirstMiB: inMiB(first), PeakMiB: inMiB(u.PeakRSS),
	}, errors.Join(err, stopErr)
}

// A smallClient sends the same request again and again on one connection. It does
// little itself, as it has the processors together with the server.
type smallClient struct {
	net.Conn
	request []byte
	answers *bufio.Reader
}

// dialAll returns smallClients of a server whose uploads are at address.
func dialAll(ctx context.Context, address string) (chan *smallClient, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %d\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", at.Path, at.Host, smallBytes, smallBytes)
	request = append(request, bytes.Repeat([]byte{'x'}, smallBytes)...)
	clients := make(chan *smallClient, smallClients)
	for range smallClients {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
		if err != nil {
			return nil, err
		}
		clients <- &smallClient{conn, request, bufio.NewReader(conn)}
	}
	return clients, nil
}

func (c *smallClient) send() error {
	if _, err := c.Write(c.request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	if err := expect(resp, http.StatusCreated); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	return nil
}
