package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/streamflow/streamflow/internal/checksum"
)

// composeUnit is the first part's size: the least that S3 takes.
const composeUnit = 5 * mib

// measureS3Compose sends a stream that outgrows the parts of one multipart
// upload, and looks whether the sink was asked to compose.
func measureS3Compose(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	s, err := b.startSink(ctx)
	if err != nil {
		return err
	}
	defer s.kill()
	size := b.size(60*gib, 26*gib)
	p, sum, err := b.stream(ctx, s, size)
	if err != nil {
		return err
	}
	growth := sampleMemory(p)
	used, err := p.wait()
	if err != nil {
		return err
	}
	rss := <-growth
	counts, err := s.counts(ctx)
	if err != nil {
		return err
	}
	stored, err := s.storedSum(ctx)
	if err != nil {
		return err
	}
	b.report.raw(map[string]any{"rss_bytes_each_second": rss, "counts": counts})
	b.report.columns("GiB", "MiB/s", "peak MiB", "UploadPart", "UploadPartCopy", "CRC-32C")
	b.report.row(float64(size)/gib, inMiB(size)/used.Wall.Seconds(), inMiB(used.PeakRSS), counts["UploadPart"], counts["UploadPartCopy"], stored)
	b.report.atLeast("pieces composed by UploadPartCopy", float64(counts["UploadPartCopy"]), float64(pieces(size)))
	b.report.atMost("checksums that differ from the stream's", failuresOf(stored == <-sum), 0)
	b.report.atMost("peak, MiB", inMiB(used.PeakRSS), 32)
	b.report.atMost("growth from the second tenth to the last", growthOf(rss), 1.1)
	return nil
}

// pieces is how many are full when half of 10,000 parts are units and each of
// the others is a piece of 5 GiB.
func pieces(size int64) int64 { return max(0, size-5000*composeUnit) / (5 * gib) }

func failuresOf(right bool) float64 {
	if right {
		return 0
	}
	return 1
}

// stream starts our client with size bytes on its standard input, and sends
// their checksum once they are all written.
func (b *bench) stream(ctx context.Context, s *service, size int64) (*process, <-chan string, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	cmd := s.with(b.uploadCommand(ctx, "--no-resume", "--name", objectKey, "--chunk-size", fmt.Sprint(composeUnit),
		"--max-memory", "32MiB", "-", "s3://"+bucketName+"/"))
	cmd.Stdin = read
	p, err := start(cmd)
	if err = errors.Join(err, read.Close()); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	sum := make(chan string, 1)
	go func() {
		defer func() { _ = write.Close() }() // the client ends with its input
		block := make([]byte, mib)
		_, _ = rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, b.seed))).Read(block)
		var crc uint32
		for range size / mib {
			if _, err := write.Write(block); err != nil {
				break // the client's own error says more
			}
			crc = checksum.Update(crc, block)
		}
		sum <- formatSum(crc)
	}()
	return p, sum, nil
}

// storedSum is the checksum that the service has of the object.
func (s *service) storedSum(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.endpoint+"/"+bucketName+"/"+objectKey, nil)
	if err != nil {
		return "", fmt.Errorf("ask for the checksum: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for the checksum: %w", err)
	}
	return resp.Header.Get("X-Amz-Checksum-Crc32c"), resp.Body.Close()
}

func formatSum(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

// sampleMemory reads the resident memory each second, and sends what it saw
// when the process has ended.
func sampleMemory(p *process) <-chan []int64 {
	seen := make(chan []int64, 1)
	go func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		var rss []int64
		for {
			select {
			case <-p.done:
				seen <- rss
				return
			case <-ticker.C:
				if n := p.resident(); n > 0 {
					rss = append(rss, n)
				}
			}
		}
	}()
	return seen
}

// growthOf is the largest of the last half over the largest of the second tenth:
// what a process needs once it has to have by then.
func growthOf(rss []int64) float64 {
	tenth := len(rss) / 10
	if tenth == 0 {
		return 1
	}
	return float64(slices.Max(rss[len(rss)/2:])) / float64(slices.Max(rss[:2*tenth]))
}
