package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
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
	for name := range inTurns(b.count(3, 1), names) {
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
	s, err := b.startNamed(ctx, tools, name)
	if err != nil {
		return batch{}, err
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: smallClients, DisableCompression: true}}
	content := bytes.Repeat([]byte{'x'}, smallBytes)
	send := func(int) error {
		_, err := createUpload(ctx, client, s.url, smallBytes, bytes.NewReader(content))
		return err
	}
	start := time.Now()
	err = inParallel(n/5, smallClients, send)
	s.samplePeak()
	first := s.peakRSS()
	if err == nil {
		err = inParallel(n-n/5, smallClients, send)
	}
	took := time.Since(start)
	client.CloseIdleConnections()
	u, stopErr := s.end()
	return batch{
		Server: name, PerSecond: float64(n) / took.Seconds(), CPU: float64(u.CPU.Microseconds()) / float64(n),
		FirstMiB: inMiB(first), PeakMiB: inMiB(u.PeakRSS),
	}, errors.Join(err, stopErr)
}
