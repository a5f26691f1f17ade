package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"time"
)

// passage is one object sent by one uploader.
type passage struct {
	Service   string  `json:"service"`
	Source    string  `json:"source"` // "file" or "pipe"
	Uploader  string  `json:"uploader"`
	MiBPerSec float64 `json:"mib_per_second"`
	PeakMiB   float64 `json:"peak_mib"`
	CPU       float64 `json:"cpu_seconds_per_gib"`
}

func (p passage) speed() float64 { return p.MiBPerSec }
func (p passage) peak() float64  { return p.PeakMiB }

// The services that objects are sent to.
const (
	overTLS = "versitygw, TLS"
	toSink  = "sink, HTTP"
	farSink = "sink, 20 ms away"
)

func measureS3File(ctx context.Context, b *bench) error { return b.measureObject(ctx, "file", 24) }
func measureS3Pipe(ctx context.Context, b *bench) error { return b.measureObject(ctx, "pipe", 32) }

// measureObject sends one object with every uploader to every service, in
// interleaved rounds.
func (b *bench) measureObject(ctx context.Context, shape string, mostMiB float64) error {
	if err := errors.Join(b.build(ctx), b.s3Peers(ctx)); err != nil {
		return err
	}
	source, err := b.source("source", b.size(2*gib, 64*mib))
	if err != nil {
		return err
	}
	b.report.columns("service", "uploader", "MiB/s", "over ours", "CPU s/GiB", "peak MiB")
	for _, name := range []string{overTLS, toSink} {
		runs, err := b.objectRounds(ctx, name, source, shape)
		if err != nil {
			return err
		}
		b.reportObject(name, runs, mostMiB)
	}
	b.report.note("Over plain HTTP the AWS libraries, s5cmd, rclone and minio-go sign what they send with its SHA-256; ours doesn't, as over TLS nobody does.")
	return nil
}

func (b *bench) objectRounds(ctx context.Context, name, source, shape string) (map[string][]passage, error) {
	s, err := b.startService(ctx, name)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	runs := map[string][]passage{}
	uploaders := b.uploaders()
	for u := range inTurns(b.random, b.count(5, 1), uploaders) {
		p, err := b.pass(ctx, s, u, source, shape, nil)
		if err != nil {
			return nil, fmt.Errorf("%s, %s to %s: %w", shape, u, name, err)
		}
		p.Service = name
		b.report.raw(p)
		runs[u.String()] = append(runs[u.String()], p)
	}
	return runs, nil
}

func (b *bench) startService(ctx context.Context, name string) (*service, error) {
	switch name {
	case toSink:
		return b.startSink(ctx)
	case farSink:
		return b.startSink(ctx, "-latency", "20ms")
	default:
		return b.startGateway(ctx, true)
	}
}

// pass measures one object and compares what is stored.
func (b *bench) pass(ctx context.Context, s *service, u uploader, source, shape string, wrap wrapper) (passage, error) {
	if err := s.empty(); err != nil {
		return passage{}, err
	}
	info, err := os.Stat(source)
	if err != nil {
		return passage{}, fmt.Errorf("send: %w", err)
	}
	used, err := b.passThrough(ctx, s, u, source, shape, wrap)
	if err != nil {
		return passage{}, err
	}
	p := passage{
		Source: shape, Uploader: u.String(), MiBPerSec: inMiB(info.Size()) / used.Wall.Seconds(),
		PeakMiB: inMiB(used.PeakRSS), CPU: used.CPU.Seconds() / (float64(info.Size()) / gib),
	}
	if s.dir == "" {
		return p, nil
	}
	return p, verify(source, s.dir)
}

func (b *bench) passThrough(ctx context.Context, s *service, u uploader, source, shape string, wrap wrapper) (usage, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var cmd *exec.Cmd
	var stdin io.ReadCloser
	if shape == "file" {
		cmd = u.object(ctx, s, source)
	} else {
		var err error
		if stdin, err = pipe(source); err != nil {
			return usage{}, err
		}
		defer stdin.Close()
		cmd = u.object(ctx, s, "-")
	}
	if wrap != nil {
		env := cmd.Env
		cmd = wrap(ctx, cmd)
		cmd.Env = env
	}
	if stdin != nil {
		cmd.Stdin = stdin
	}
	return runToEnd(cmd)
}

// reportObject holds ours to the fastest peer, whatever its settings.
func (b *bench) reportObject(name string, runs map[string][]passage, mostMiB float64) {
	us := runs[ours]
	fastest, best := "", 0.0
	for _, u := range b.uploaders() {
		r := runs[u.String()]
		speed := medianOf(r, passage.speed)
		b.report.row(name, u, speed, ratio(r, us, passage.speed),
			medianOf(r, func(p passage) float64 { return p.CPU }), slices.Max(each(r, passage.peak)))
		if u.name != ours && speed > best {
			fastest, best = u.String(), speed
		}
	}
	if b.quick {
		return
	}
	b.report.atLeast(fmt.Sprintf("%s, throughput over the fastest peer, %s", name, fastest), ratio(us, runs[fastest], passage.speed), 1)
	for _, r := range [][]passage{us, runs[ours+", lean"]} {
		b.report.atMost(fmt.Sprintf("%s, peak of %s, MiB", name, r[0].Uploader), slices.Max(each(r, passage.peak)), mostMiB)
	}
}

// measureS3Cgroup sends a file and a pipe to S3 out of a cgroup of 64 MiB, and
// without one, in turn. The server is outside.
func measureS3Cgroup(ctx context.Context, b *bench) error {
	group, err := newCgroup(cgroupLimit)
	if err != nil {
		return fmt.Errorf("this machine allows no memory cgroup to be made: %w", err)
	}
	defer group.remove()
	if err := b.build(ctx); err != nil {
		return err
	}
	source, err := b.source("source", b.size(2*gib, 128*mib))
	if err != nil {
		return err
	}
	s, err := b.startGateway(ctx, true)
	if err != nil {
		return err
	}
	defer s.kill()
	b.report.columns("source", "uncapped MiB/s", "in the cgroup MiB/s", "peak MiB", "limit hits", "kills")
	for _, shape := range []string{"file", "pipe"} {
		if err := b.s3InCgroup(ctx, s, group, source, shape); err != nil {
			return fmt.Errorf("%s: %w", shape, err)
		}
	}
	b.report.note("cgroup v%d, %d MiB for the client and the page cache of what it reads", group.version, cgroupLimit/mib)
	return nil
}

func (b *bench) s3InCgroup(ctx context.Context, s *service, group *cgroup, source, shape string) error {
	u := uploader{name: ours, object: b.ourObject(false)}
	before, _, err := group.events()
	if err != nil {
		return err
	}
	var free, capped []passage
	for wrap := range inTurns(b.random, b.count(5, 1), []wrapper{nil, group.wrap}) {
		// Out of the page cache, so that its pages are charged to whoever reads.
		if err := evict(source); err != nil {
			return err
		}
		p, err := b.pass(ctx, s, u, source, shape, wrap)
		if err != nil {
			return err
		}
		b.report.raw(p)
		if wrap == nil {
			free = append(free, p)
		} else {
			capped = append(capped, p)
		}
	}
	after, kills, err := group.events()
	if err != nil {
		return err
	}
	b.report.row(shape, medianOf(free, passage.speed), medianOf(capped, passage.speed), slices.Max(each(capped, passage.peak)), after-before, kills)
	b.report.atMost(shape+", processes killed", float64(kills), 0)
	if !b.quick {
		b.report.atLeast(shape+", throughput in the cgroup over that without", ratio(capped, free, passage.speed), 0.9)
	}
	return nil
}
