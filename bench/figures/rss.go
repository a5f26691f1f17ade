package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"
)

// transfer is one upload, with the server of its own that took it.
type transfer struct {
	Shape     string  `json:"shape"` // "file" or "pipe"
	Budget    string  `json:"budget"`
	ClientMiB float64 `json:"client_peak_mib"`
	ServerMiB float64 `json:"server_peak_mib"`
	MiBPerSec float64 `json:"mib_per_second"`
	ClientCPU float64 `json:"client_cpu_seconds"`
	ServerCPU float64 `json:"server_cpu_seconds"`
}

// measureRSS uploads one file under three budgets, from disk and from a pipe,
// in interleaved rounds.
func measureRSS(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	size := b.size(4*gib, 256*mib)
	source, err := b.source("source", size)
	if err != nil {
		return err
	}
	budgets := []int{32, 64, 256}
	runs := map[string][]transfer{}
	for round := range b.count(3, 1) {
		if round%2 == 1 {
			slices.Reverse(budgets)
		}
		for _, budget := range budgets {
			for _, shape := range []string{"file", "pipe"} {
				t, err := b.transfer(ctx, source, size, shape, fmt.Sprintf("%dMiB", budget), nil)
				if err != nil {
					return fmt.Errorf("%s under %d MiB: %w", shape, budget, err)
				}
				b.report.raw(t)
				key := fmt.Sprint(shape, budget)
				runs[key] = append(runs[key], t)
			}
		}
	}
	b.reportRSS(runs)
	return nil
}

func (b *bench) reportRSS(runs map[string][]transfer) {
	b.report.columns("source", "budget", "client peak MiB", "server peak MiB", "MiB/s", "client CPU s", "server CPU s")
	for _, shape := range []string{"file", "pipe"} {
		speed := map[int]float64{}
		for _, budget := range []int{32, 64, 256} {
			ts := runs[fmt.Sprint(shape, budget)]
			client := slices.Max(each(ts, func(t transfer) float64 { return t.ClientMiB }))
			server := slices.Max(each(ts, func(t transfer) float64 { return t.ServerMiB }))
			speed[budget] = medianOf(ts, func(t transfer) float64 { return t.MiBPerSec })
			b.report.row(shape, ts[0].Budget, client, server, speed[budget],
				medianOf(ts, func(t transfer) float64 { return t.ClientCPU }),
				medianOf(ts, func(t transfer) float64 { return t.ServerCPU }))
			b.report.atMost(fmt.Sprintf("%s, peak of the client, MiB", shape), client, float64(budget))
			b.report.atMost(fmt.Sprintf("%s, peak of the server, MiB", shape), server, float64(budget))
		}
		if b.quick {
			continue // too short to say anything of speed
		}
		b.report.atLeast(shape+", throughput under 64 MiB over that under 256 MiB", speed[64]/speed[256], 0.9)
	}
}

// transfer uploads source to a new server and checks what arrived.
func (b *bench) transfer(ctx context.Context, source string, size int64, shape, budget string, wrap wrapper) (transfer, error) {
	t := transfer{Shape: shape, Budget: budget}
	store, err := b.emptyDir("store")
	if err != nil {
		return t, err
	}
	server, err := b.serve(ctx, store, wrap, "--max-memory", budget)
	if err != nil {
		return t, err
	}
	client, err := b.sendShape(ctx, source, shape, server.url, budget, wrap)
	served, stopErr := server.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return t, err
	}
	t.ClientMiB, t.ServerMiB = inMiB(client.PeakRSS), inMiB(served.PeakRSS)
	t.ClientCPU, t.ServerCPU = client.CPU.Seconds(), served.CPU.Seconds()
	t.MiBPerSec = inMiB(size) / client.Wall.Seconds()
	return t, verify(source, store)
}

// sendShape uploads source as a file or through a pipe.
func (b *bench) sendShape(ctx context.Context, source, shape, url, budget string, wrap wrapper) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var cmd *exec.Cmd
	var stdin io.ReadCloser
	if shape == "file" {
		cmd = b.uploadCommand(ctx, "--max-memory", budget, "--no-resume", source, url)
	} else {
		var err error
		if stdin, err = pipe(source); err != nil {
			return usage{}, err
		}
		defer stdin.Close()
		cmd = b.uploadCommand(ctx, "--max-memory", budget, "--no-resume", "--name", "stream", "-", url)
	}
	if wrap != nil {
		cmd = wrap(ctx, cmd)
	}
	if stdin != nil {
		cmd.Stdin = stdin
	}
	return runToEnd(cmd)
}

func each[T any](ts []T, value func(T) float64) []float64 {
	values := make([]float64, len(ts))
	for i, t := range ts {
		values[i] = value(t)
	}
	return values
}
