package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/streamflow/streamflow/bench/result"
)

// syncedServer is tusd with our promise: what is finished survives power loss.
const syncedServer = "tusd, synced"

// delivery is what one server made of some uploads at the same time.
type delivery struct {
	Server    string  `json:"server"`
	Uploads   int     `json:"uploads"`
	MiBPerSec float64 `json:"mib_per_second"`
	CPU       float64 `json:"cpu_seconds_per_gib"`
	PeakMiB   float64 `json:"peak_mib"`
}

func (d delivery) speed() float64 { return d.MiBPerSec }
func (d delivery) cpu() float64   { return d.CPU }
func (d delivery) peak() float64  { return d.PeakMiB }

// measurePair sends 2 GiB as one upload and as eight at once, by the same client
// to our server, to tusd, and to tusd with syncs, in interleaved rounds, and then
// to ours with a checksum.
func measurePair(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	tools, err := b.peers(ctx)
	if err != nil {
		return err
	}
	size := b.size(2*gib, 64*mib)
	source, err := b.source("source", size)
	if err != nil {
		return err
	}
	b.report.columns("server", "uploads", "MiB/s", "CPU s/GiB", "peak MiB")
	for _, uploads := range []int{1, 8} {
		runs, err := b.pairRounds(ctx, tools, source, size, uploads)
		if err != nil {
			return err
		}
		for _, name := range []string{ours, peerServer, syncedServer} {
			b.report.row(name, uploads, medianOf(runs[name], delivery.speed),
				medianOf(runs[name], delivery.cpu), medianOf(runs[name], delivery.peak))
		}
		if b.quick {
			continue
		}
		what := fmt.Sprintf("%d at once, over tusd with our promise, ", uploads)
		b.report.atLeast(what+"throughput", ratio(runs[ours], runs[syncedServer], delivery.speed), 1)
		b.report.atMost(what+"CPU", ratio(runs[ours], runs[syncedServer], delivery.cpu), 0.9)
	}
	return b.pairChecksum(ctx, tools, source, size)
}

func (b *bench) pairRounds(ctx context.Context, tools peerTools, source string, size int64, uploads int) (map[string][]delivery, error) {
	names := []string{ours, peerServer, syncedServer}
	runs := map[string][]delivery{}
	for name := range inTurns(b.random, b.count(7, 1), names) {
		d, err := b.deliver(ctx, tools, name, source, size, uploads)
		if err != nil {
			return nil, fmt.Errorf("%d uploads to %s: %w", uploads, name, err)
		}
		b.report.raw(d)
		runs[name] = append(runs[name], d)
	}
	return runs, nil
}

// startNamed runs one of the servers over a store.
func (b *bench) startNamed(ctx context.Context, tools peerTools, name, store string) (*server, error) {
	switch name {
	case ours:
		return b.serve(ctx, store, nil, "--log-level", "warn")
	case peerServer:
		return tools.startTusd(ctx, store)
	default:
		return tools.startSynced(ctx, store)
	}
}

// deliver sends the source in so many parts at once, each an upload. Headers are
// pairs for their PATCH.
func (b *bench) deliver(ctx context.Context, tools peerTools, name, source string, size int64, uploads int, headers ...string) (delivery, error) {
	store, err := b.emptyDir("store")
	if err != nil {
		return delivery{}, err
	}
	s, err := b.startNamed(ctx, tools, name, store)
	if err != nil {
		return delivery{}, err
	}
	part := size / int64(uploads)
	return deliverTo(s, name, uploads, size, func(client *http.Client, i int) error {
		return sendPart(ctx, client, s.url, source, int64(i)*part, part, headers)
	})
}

// deliverTo has so many uploads sent at once, size bytes in all, and ends the server.
func deliverTo(s *server, name string, uploads int, size int64, send func(client *http.Client, i int) error) (delivery, error) {
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	start := time.Now()
	err := inParallel(uploads, uploads, func(i int) error { return send(client, i) })
	took := time.Since(start)
	client.CloseIdleConnections()
	u, stopErr := s.end()
	if err := errors.Join(err, stopErr); err != nil {
		return delivery{}, err
	}
	return delivery{
		Server: name, Uploads: uploads, MiBPerSec: inMiB(size) / took.Seconds(),
		CPU: u.CPU.Seconds() / (float64(size) / gib), PeakMiB: inMiB(u.PeakRSS),
	}, nil
}

// sendPart creates an upload and sends a part of a file as one PATCH.
func sendPart(ctx context.Context, client *http.Client, url, source string, offset, size int64, headers []string) error {
	file, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	defer file.Close()
	location, err := createUpload(ctx, client, url, size)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, location, io.NewSectionReader(file, offset, size))
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	req.ContentLength = size
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	req.Header.Set("Upload-Offset", "0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	_, err = roundTrip(client, req, http.StatusNoContent)
	return err
}

// createUpload returns the URL of a new upload.
func createUpload(ctx context.Context, client *http.Client, url string, size int64) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Length", fmt.Sprint(size))
	header, err := roundTrip(client, req, http.StatusCreated)
	if err != nil {
		return "", err
	}
	location, err := req.URL.Parse(header.Get("Location"))
	if err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	return location.String(), nil
}

// roundTrip returns the header of an answer that must have that status.
func roundTrip(client *http.Client, req *http.Request, status int) (http.Header, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if err := expect(resp, status); err != nil {
		return nil, fmt.Errorf("%s: %w", req.Method, err)
	}
	return resp.Header, nil
}

// expect reads an answer to its end, and wants that status.
func expect(resp *http.Response, status int) error {
	text, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != status {
		return fmt.Errorf("%s %s", resp.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

func medianOf[T any](runs []T, value func(T) float64) float64 {
	return result.Median(each(runs, value))
}

// ratio is the median of the rounds' ratios.
func ratio[T any](a, b []T, value func(T) float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = value(a[i]) / value(b[i])
	}
	return result.Median(ratios)
}
