package main

import (
	"context"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// An s3Killing is a series of uploads to S3, one after the other, that go on
// although the client and the server are killed.
type s3Killing struct {
	*bench
	*service
	source string
	client *process
	dead   bool // the service
	done   int  // uploads that came to their end
	broken []error
}

// measureS3Kill kills the client or the S3 server at random moments.
func measureS3Kill(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if err := b.build(ctx); err != nil {
		return err
	}
	source, err := b.source("source", b.size(192*mib, 96*mib))
	if err != nil {
		return err
	}
	s, err := b.startGateway(ctx, false)
	if err != nil {
		return err
	}
	k := &s3Killing{bench: b, service: s, source: source}
	defer k.end()
	var servers int
	kills := b.count(100, 10)
	for i := range kills {
		server := b.random.IntN(2) == 0
		if server {
			servers++
		}
		if err := k.strike(ctx, server); err != nil {
			return fmt.Errorf("kill %d of %d: %w", i+1, kills, err)
		}
	}
	if err := k.finish(ctx); err != nil {
		return err
	}
	left, err := k.abandon(ctx)
	if err != nil {
		return err
	}
	b.report.columns("kills", "of the server", "uploads done", "that differ", "parts left before abort", "and after")
	b.report.row(kills, servers, k.done, len(k.broken), left[0], left[1])
	for _, err := range k.broken {
		b.report.note("%v", err)
	}
	b.report.atLeast("uploads done", float64(k.done), 1)
	b.report.atMost("objects that differ from the source", float64(len(k.broken)), 0)
	b.report.atLeast("parts of the upload that was given up", float64(left[0]), 1)
	b.report.atMost("parts left after abort", float64(left[1]), 0)
	return nil
}

func (k *s3Killing) name() string { return fmt.Sprintf("object%d", k.done) }

// revive starts what isn't there.
func (k *s3Killing) revive(ctx context.Context) error {
	if k.dead {
		if err := k.restart(ctx); err != nil {
			return err
		}
		k.dead = false
	}
	if k.client == nil {
		p, err := start(k.with(k.uploadCommand(ctx, "--name", k.name(), "--chunk-size", "5MiB", "--retries", "20", k.source, "s3://"+bucketName+"/")))
		if err != nil {
			return err
		}
		k.client = p
	}
	return nil
}

// strike kills one side up to half a second after both are there.
func (k *s3Killing) strike(ctx context.Context, server bool) error {
	if err := k.revive(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(k.random.Int64N(int64(500 * time.Millisecond)))):
	}
	if server {
		k.kill()
		k.dead = true
	} else {
		k.client.kill()
	}
	select {
	case <-k.client.done:
		return k.ended()
	default:
		return nil
	}
}

// ended looks how the client ended: killed, or at its end.
func (k *s3Killing) ended() error {
	defer func() { k.client = nil }()
	state := k.client.cmd.ProcessState
	if !state.Exited() {
		return nil
	}
	if !state.Success() {
		_, err := k.client.wait()
		return fmt.Errorf("the client gave up: %w", err)
	}
	stored := filepath.Join(k.dir, k.name())
	if err := same(k.source, stored); err != nil {
		k.broken = append(k.broken, err)
	}
	k.done++
	return nil
}

// finish lets the last upload come to its end.
func (k *s3Killing) finish(ctx context.Context) error {
	if err := k.revive(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-k.client.done:
		return k.ended()
	}
}

// abandon kills one more upload, and counts what is left in the bucket before
// and after streamflow abort.
func (k *s3Killing) abandon(ctx context.Context) (left [2]int, err error) {
	if err := k.revive(ctx); err != nil {
		return left, err
	}
	for left[0] == 0 {
		select {
		case <-k.client.done:
			return left, fmt.Errorf("the upload to be given up ended: %w", k.client.err)
		case <-time.After(5 * time.Millisecond):
		}
		if left[0], err = k.parts(); err != nil {
			return left, err
		}
	}
	k.client.kill()
	k.client = nil
	abort := k.with(exec.CommandContext(ctx, k.binary, "abort", "--all", "--state-dir", filepath.Join(k.work, "state"), "s3://"+bucketName+"/"))
	if _, err := runToEnd(abort); err != nil {
		return left, err
	}
	left[1], err = k.parts()
	return left, err
}

// parts counts the files of multipart uploads in the gateway's own directory of
// the bucket. A gateway that is killed leaves things there that it doesn't know
// any more and no client can see: bodies it was just receiving, and of an upload
// that it was just completing all parts, as .inprogress.
func (k *s3Killing) parts() (n int, err error) {
	err = filepath.WalkDir(k.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && strings.Contains(path, "/.sgwtmp/multipart/") && !strings.Contains(path, ".inprogress/") {
			n++
		}
		return nil // a file may go while we look
	})
	return n, err
}

func (k *s3Killing) end() {
	if k.client != nil {
		k.client.kill()
	}
	if !k.dead {
		k.kill()
	}
}
