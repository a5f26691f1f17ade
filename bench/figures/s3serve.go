package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// relay is what one server made of uploads that it keeps in S3.
type relay struct {
	delivery
	TempMiB float64 `json:"temporary_mib"` // the most that lay in TMPDIR
}

func (r relay) temp() float64 { return r.TempMiB }

// measureS3Serve sends one upload and fifty at once, by the same client, to our
// server and to tusd, both over one S3 server, in interleaved rounds.
func measureS3Serve(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	tools, err := b.peers(ctx)
	if err != nil {
		return err
	}
	bucket, err := b.startGateway(ctx, false)
	if err != nil {
		return err
	}
	defer bucket.kill()
	size := b.size(2*gib, 128*mib)
	source, err := b.source("source", size)
	if err != nil {
		return err
	}
	bytesEach := min(100*mib, size)
	if b.quick {
		bytesEach = size / 50
	}
	b.report.columns("server", "uploads", "MiB/s", "CPU s/GiB", "peak MiB", "temporary MiB")
	for _, c := range []struct {
		uploads int
		bytes   int64
	}{{1, size}, {50, bytesEach}} {
		if err := b.s3ServeRounds(ctx, tools, bucket, source, c.uploads, c.bytes); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) s3ServeRounds(ctx context.Context, tools peerTools, bucket *service, source string, uploads int, bytes int64) error {
	names := []string{ours, peerServer}
	runs := map[string][]relay{}
	for name := range inTurns(b.random, b.count(3, 1), names) {
		r, err := b.relay(ctx, tools, bucket, name, source, uploads, bytes)
		if err != nil {
			return fmt.Errorf("%d uploads to %s: %w", uploads, name, err)
		}
		b.report.raw(r)
		runs[name] = append(runs[name], r)
	}
	for _, name := range names {
		b.report.row(name, fmt.Sprintf("%d × %.0f MiB", uploads, inMiB(bytes)), medianOf(runs[name], relay.speed), medianOf(runs[name], relay.cpu),
			slices.Max(each(runs[name], relay.peak)), slices.Max(each(runs[name], relay.temp)))
	}
	us := runs[ours]
	what := fmt.Sprintf("%d at once, ", uploads)
	b.report.atMost(what+"peak, MiB", slices.Max(each(us, relay.peak)), 64)
	b.report.atMost(what+"temporary files, MiB", slices.Max(each(us, relay.temp)), 0)
	if !b.quick {
		b.report.atLeast(what+"throughput over tusd", ratio(us, runs[peerServer], relay.speed), 1)
	}
	return nil
}

// relay sends so many uploads at once to one of the servers, which begins anew.
func (b *bench) relay(ctx context.Context, tools peerTools, bucket *service, name, source string, uploads int, bytes int64) (relay, error) {
	if err := bucket.empty(); err != nil {
		return relay{}, err
	}
	temp, err := b.emptyDir("temporary")
	if err != nil {
		return relay{}, err
	}
	s, err := b.serveBucket(ctx, tools, bucket, name, temp)
	if err != nil {
		return relay{}, err
	}
	watching, stopWatching := context.WithCancel(ctx)
	most := make(chan int64, 1)
	go func() { most <- watchSize(watching, temp) }()
	d, err := deliverTo(s, name, uploads, bytes*int64(uploads), func(client *http.Client, _ int) error {
		return sendPart(ctx, client, s.url, source, 0, bytes, nil)
	})
	stopWatching()
	r := relay{d, inMiB(<-most)}
	if err != nil {
		return relay{}, err
	}
	return r, verifyBucket(bucket, source, uploads, bytes)
}

// serveBucket starts one of the servers over the bucket.
func (b *bench) serveBucket(ctx context.Context, tools peerTools, bucket *service, name, temp string) (*server, error) {
	if name == ours {
		return b.serveNode(ctx, bucket, "TMPDIR="+temp)
	}
	return startPeer(ctx, "", func(port string) *exec.Cmd {
		return bucket.with(exec.CommandContext(ctx, tools.tusd, "-host", "127.0.0.1", "-port", port, "-s3-bucket", bucketName,
			"-s3-endpoint", bucket.endpoint, "-s3-object-prefix", nodePrefix+"/", "-verbose=false", "-show-greeting=false"), "TMPDIR="+temp)
	})
}

// watchSize returns the most that lay in a directory until ctx ended, files that
// were unlinked but are open left out.
func watchSize(ctx context.Context, dir string) (most int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var size int64
		entries, _ := os.ReadDir(dir)
		for _, entry := range entries {
			if info, err := entry.Info(); err == nil {
				size += info.Size()
			}
		}
		most = max(most, size)
		select {
		case <-ctx.Done():
			return most
		case <-tick.C:
		}
	}
}

// verifyBucket compares each object with the source's beginning.
func verifyBucket(bucket *service, source string, uploads int, bytes int64) error {
	dir := filepath.Join(bucket.dir, nodePrefix)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	found := 0
	for _, entry := range entries {
		if entry.IsDir() || strings.HasSuffix(entry.Name(), ".info") {
			continue
		}
		found++
		if err := sameBeginning(source, filepath.Join(dir, entry.Name()), bytes); err != nil {
			return err
		}
	}
	if found != uploads {
		return fmt.Errorf("verify: there are %d objects of %d", found, uploads)
	}
	return nil
}
