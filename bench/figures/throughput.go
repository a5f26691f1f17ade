package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/streamflow/streamflow/bench/result"
)

// A pairing is a client and a server, each ours or the peer's.
type pairing struct{ client, server string }

func (p pairing) String() string { return p.client + " → " + p.server }

const (
	ours       = "streamflow"
	peerClient = "tus-js-client"
	peerServer = "tusd"
)

// pace is one upload of a pairing.
type pace struct {
	Pairing   string  `json:"pairing"`
	MiBPerSec float64 `json:"mib_per_second"`
	ClientCPU float64 `json:"client_cpu_seconds_per_gib"`
	ServerCPU float64 `json:"server_cpu_seconds_per_gib"`
	ClientMiB float64 `json:"client_peak_mib"`
	ServerMiB float64 `json:"server_peak_mib"`
}

// measureThroughput uploads the same file with both clients to both servers in
// interleaved rounds.
func measureThroughput(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	tools, err := b.peers(ctx)
	if err != nil {
		return err
	}
	size := b.size(2*gib, 256*mib)
	source, err := b.source("source", size)
	if err != nil {
		return err
	}
	pairings := []pairing{{ours, ours}, {ours, peerServer}, {peerClient, peerServer}, {peerClient, ours}}
	runs := map[pairing][]pace{}
	startup, err := nodeStartup(ctx, tools)
	if err != nil {
		return err
	}
	for p := range inTurns(b.random, b.count(7, 1), pairings) {
		measured, err := b.pace(ctx, p, tools, source, size, startup)
		if err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		b.report.raw(measured)
		runs[p] = append(runs[p], measured)
	}
	b.report.note("Node's time to start, %v, is taken off tus-js-client's; ours is not taken off.", startup.Round(time.Millisecond))
	b.reportThroughput(pairings, runs)
	return nil
}

func (b *bench) reportThroughput(pairings []pairing, runs map[pairing][]pace) {
	b.report.columns("client → server", "MiB/s", "slowest", "fastest", "client CPU s/GiB", "server CPU s/GiB", "client MiB", "server MiB")
	speed := map[pairing]float64{}
	for _, p := range pairings {
		speeds := each(runs[p], func(r pace) float64 { return r.MiBPerSec })
		speed[p] = result.Median(speeds)
		b.report.row(p, speed[p], slices.Min(speeds), slices.Max(speeds),
			medianOf(runs[p], func(r pace) float64 { return r.ClientCPU }),
			medianOf(runs[p], func(r pace) float64 { return r.ServerCPU }),
			medianOf(runs[p], func(r pace) float64 { return r.ClientMiB }),
			medianOf(runs[p], func(r pace) float64 { return r.ServerMiB }))
	}
	if b.quick {
		return
	}
	peer := pairing{peerClient, peerServer}
	b.report.atLeast("our client over tus-js-client, both to tusd", speed[pairing{ours, peerServer}]/speed[peer], 1)
	b.report.atLeast("our client over tus-js-client, both to our server", speed[pairing{ours, ours}]/speed[pairing{peerClient, ours}], 1)
	b.report.atLeast("our client and server over tus-js-client and tusd", speed[pairing{ours, ours}]/speed[peer], 1)
}

// pace measures one upload, from the start of the client to its end.
func (b *bench) pace(ctx context.Context, p pairing, tools peerTools, source string, size int64, startup time.Duration) (pace, error) {
	store, err := b.emptyDir("store")
	if err != nil {
		return pace{}, err
	}
	var to *server
	if p.server == ours {
		to, err = b.serve(ctx, store, nil)
	} else {
		to, err = tools.startTusd(ctx, store)
	}
	if err != nil {
		return pace{}, err
	}
	cmd := exec.CommandContext(ctx, "node", tools.script, source, to.url)
	if p.client == ours {
		cmd, startup = b.uploadCommand(ctx, "--no-resume", source, to.url), 0
	}
	sent, err := runToEnd(cmd)
	served, stopErr := to.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return pace{}, err
	}
	gibs := float64(size) / gib
	return pace{
		Pairing: p.String(), MiBPerSec: inMiB(size) / (sent.Wall - startup).Seconds(),
		ClientCPU: sent.CPU.Seconds() / gibs, ServerCPU: served.CPU.Seconds() / gibs,
		ClientMiB: inMiB(sent.PeakRSS), ServerMiB: inMiB(served.PeakRSS),
	}, verify(source, store)
}

// nodeStartup is the quickest of a few runs of the script with nothing to do.
func nodeStartup(ctx context.Context, tools peerTools) (time.Duration, error) {
	quickest := time.Hour
	for range 5 {
		u, err := runToEnd(exec.CommandContext(ctx, "node", tools.script))
		if err != nil {
			return 0, err
		}
		quickest = min(quickest, u.Wall)
	}
	return quickest, nil
}
