package main

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// hashing is what a checksum costs our server, in CPU seconds a GiB.
type hashing struct {
	Plain   float64 `json:"plain_cpu_seconds_per_gib"`
	Checked float64 `json:"checked_cpu_seconds_per_gib"`
	Alone   float64 `json:"hash_cpu_seconds_per_gib"`
}

// over is the cost of the checksum over that of the hash.
func (h hashing) over() float64 { return (h.Checked - h.Plain) / h.Alone }

// pairChecksum sends the source as one upload, without and with the Upload-Checksum
// that every server has to know, and hashes as much and does nothing else.
func (b *bench) pairChecksum(ctx context.Context, tools peerTools, source string, size int64) error {
	sum, err := sumOf(source)
	if err != nil {
		return err
	}
	var runs []hashing
	for range b.count(7, 1) {
		plain, err := b.deliver(ctx, tools, ours, source, size, 1)
		if err != nil {
			return fmt.Errorf("without a checksum: %w", err)
		}
		checked, err := b.deliver(ctx, tools, ours, source, size, 1, "Upload-Checksum", sum)
		if err != nil {
			return fmt.Errorf("with a checksum: %w", err)
		}
		alone, err := hashAlone(size)
		if err != nil {
			return err
		}
		run := hashing{plain.CPU, checked.CPU, alone.Seconds() / (float64(size) / gib)}
		b.report.raw(run)
		runs = append(runs, run)
	}
	b.report.note("CPU s/GiB of one upload: %.2f without a checksum, %.2f with sha1, %.2f to hash the same bytes and do nothing else",
		medianOf(runs, func(h hashing) float64 { return h.Plain }),
		medianOf(runs, func(h hashing) float64 { return h.Checked }),
		medianOf(runs, func(h hashing) float64 { return h.Alone }))
	if !b.quick {
		// Rounds of the same differ by a few hundredths.
		b.report.atMost("CPU of a checksum over that of the hash", medianOf(runs, hashing.over), 1.1)
	}
	return nil
}

// sumOf returns the Upload-Checksum of a file.
func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("sum the source: %w", err)
	}
	h := sha1.New() //nolint:gosec // what tus requires
	_, err = io.Copy(h, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return "", fmt.Errorf("sum the source: %w", err)
	}
	return "sha1 " + base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

// hashAlone returns the CPU time of this process for the hash of size bytes, in
// pieces as large as the server's buffers.
func hashAlone(size int64) (time.Duration, error) {
	piece := make([]byte, 256*kib)
	before, err := cpuOfThisProcess()
	if err != nil {
		return 0, err
	}
	h := sha1.New() //nolint:gosec // what tus requires
	for n := int64(0); n < size; n += int64(len(piece)) {
		_, _ = h.Write(piece)
	}
	after, err := cpuOfThisProcess()
	return after - before, err
}

func cpuOfThisProcess() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("ask for the CPU time: %w", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
