package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// patience is how long four files may take: many times what they need.
const patience = 90 * time.Second

// measureS3Many sends four files at once under 64 MiB, beside rclone with the
// same in --max-buffer-memory.
func measureS3Many(ctx context.Context, b *bench) error {
	if err := errors.Join(b.build(ctx), b.s3Peers(ctx)); err != nil {
		return err
	}
	dir, err := b.emptyDir("four")
	if err != nil {
		return err
	}
	size := b.size(220*mib, 32*mib)
	var sources []string
	for i, name := range []string{"a", "b", "c", "d"} {
		source, err := b.source(filepath.Join(filepath.Base(dir), name), size+int64(i)) // told apart by size
		if err != nil {
			return err
		}
		sources = append(sources, source)
	}
	s, err := b.startGateway(ctx, true)
	if err != nil {
		return err
	}
	defer s.kill()
	uploaders := b.fourUploaders()
	runs := map[string][]errand{}
	hung := map[string]int{}
	for u := range inTurns(b.random, b.count(5, 1), uploaders) {
		e, err := b.sendFour(ctx, s, u, dir, sources)
		if errors.Is(err, context.DeadlineExceeded) {
			hung[u.name]++
		} else if err != nil {
			return fmt.Errorf("%s: %w", u.name, err)
		}
		b.report.raw(e)
		runs[u.name] = append(runs[u.name], e)
	}
	b.report.columns("uploader", "seconds", "MiB/s", "peak MiB", "not done after 90 s")
	for _, u := range uploaders {
		r := runs[u.name]
		speed := "-"
		if hung[u.name] == 0 {
			speed = fmt.Sprintf("%.2f", inMiB(4*size)/medianOf(r, errand.took))
		}
		b.report.row(u.name, medianOf(r, errand.took), speed, slices.Max(each(r, errand.peak)),
			fmt.Sprintf("%d of %d", hung[u.name], len(r)))
	}
	capped, free := uploaders[0].name, uploaders[1].name
	b.report.atMost("runs of ours under 64 MiB not done", float64(hung[capped]), 0)
	b.report.atMost("peak of ours under 64 MiB, MiB", slices.Max(each(runs[capped], errand.peak)), manyBudget)
	if !b.quick {
		b.report.atLeast("throughput under 64 MiB over that under 1 GiB", ratio(runs[free], runs[capped], errand.took), 0.9)
	}
	return nil
}

func (b *bench) fourUploaders() []uploader {
	us := func(budget string) func(context.Context, *service, string) *exec.Cmd {
		return func(ctx context.Context, s *service, dir string) *exec.Cmd {
			return s.with(b.uploadCommand(ctx, "--max-memory", budget, "--concurrency", "4", "--no-resume", dir+"/.", "s3://"+bucketName+"/"))
		}
	}
	rclone := func(flags ...string) func(context.Context, *service, string) *exec.Cmd {
		return func(ctx context.Context, s *service, dir string) *exec.Cmd {
			args := append(append(rcloneRemote(s), flags...), "copy", dir, ":s3:"+bucketName)
			return s.with(exec.CommandContext(ctx, b.s3Peer("rclone"), args...))
		}
	}
	return []uploader{
		{name: "streamflow, 64 MiB", object: us("64MiB")},
		{name: "streamflow, 1 GiB", object: us("1GiB")},
		{name: "rclone, 64 MiB of buffers", object: rclone("--max-buffer-memory", "64Mi")},
		{name: "rclone", object: rclone()},
	}
}

func (b *bench) sendFour(ctx context.Context, s *service, u uploader, dir string, sources []string) (errand, error) {
	if err := s.empty(); err != nil {
		return errand{}, err
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	used, err := runToEnd(u.object(limited, s, dir))
	e := errand{Uploader: u.name, Files: len(sources), Seconds: used.Wall.Seconds(), PeakMiB: inMiB(used.PeakRSS)}
	switch {
	case ctx.Err() != nil:
		return e, ctx.Err()
	case limited.Err() != nil:
		return e, context.DeadlineExceeded
	}
	if err != nil {
		return e, err
	}
	return e, verifyAll(sources, s.dir)
}
