package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

const manyBudget = 64 // MiB

// measureMany uploads four files at once with chunk sizes up to 16 MiB, then
// gives a pipe a chunk size that can't fit.
func measureMany(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	size := b.size(220*mib, 32*mib)
	var sources []string
	for _, name := range []string{"a", "b", "c", "d"} {
		source, err := b.source(name, size+int64(len(sources))) // told apart by size
		if err != nil {
			return err
		}
		sources = append(sources, source)
	}
	b.report.columns("chunk size", "to", "seconds", "client peak MiB", "server peak MiB")
	for _, chunk := range []string{"64KiB", "256KiB", "1MiB", "4MiB", "16MiB"} {
		if err := b.manyOverHTTP(ctx, chunk, sources); err != nil {
			return fmt.Errorf("chunks of %s to a server: %w", chunk, err)
		}
		if err := b.manyToDirectory(ctx, chunk, sources); err != nil {
			return fmt.Errorf("chunks of %s to a directory: %w", chunk, err)
		}
	}
	return b.measureRefusal(ctx, sources[0])
}

func (b *bench) manyCommand(ctx context.Context, chunk string, sources []string, destination string) *exec.Cmd {
	args := []string{"--max-memory", fmt.Sprintf("%dMiB", manyBudget), "--chunk-size", chunk, "--concurrency", "4", "--no-resume"}
	return b.uploadCommand(ctx, append(append(args, sources...), destination)...)
}

func (b *bench) manyOverHTTP(ctx context.Context, chunk string, sources []string) error {
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	server, err := b.serve(ctx, store, nil, "--max-memory", fmt.Sprintf("%dMiB", manyBudget))
	if err != nil {
		return err
	}
	client, err := runToEnd(b.manyCommand(ctx, chunk, sources, server.url))
	served, stopErr := server.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	b.report.row(chunk, "server", client.Wall.Seconds(), inMiB(client.PeakRSS), inMiB(served.PeakRSS))
	b.report.atMost("chunks of "+chunk+" to a server, peak of the client, MiB", inMiB(client.PeakRSS), manyBudget)
	b.report.atMost("chunks of "+chunk+" to a server, peak of the server, MiB", inMiB(served.PeakRSS), manyBudget)
	return verifyAll(sources, store)
}

func (b *bench) manyToDirectory(ctx context.Context, chunk string, sources []string) error {
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	client, err := runToEnd(b.manyCommand(ctx, chunk, sources, store))
	if err != nil {
		return err
	}
	b.report.row(chunk, "directory", client.Wall.Seconds(), inMiB(client.PeakRSS), "")
	b.report.atMost("chunks of "+chunk+" to a directory, peak, MiB", inMiB(client.PeakRSS), manyBudget)
	return verifyAll(sources, store)
}

func verifyAll(sources []string, store string) error {
	for _, source := range sources {
		if err := verify(source, store); err != nil {
			return err
		}
	}
	return nil
}

// refused is the exit code of what the memory or a quota can't take.
const refused = 8

// measureRefusal gives a pipe chunks as large as the whole budget, then the
// budget that the refusal names, then one a MiB smaller.
func (b *bench) measureRefusal(ctx context.Context, source string) error {
	first, err := b.pipeUnder(ctx, source, manyBudget*mib)
	if err != nil {
		return err
	}
	b.report.note("A pipe with chunks of %d MiB under %d MiB: %s", manyBudget, manyBudget, first.said)
	b.report.atMost("a pipe's chunk that can't fit is refused, seconds", first.Wall.Seconds(), 1)
	b.report.atMost("… with exit code 8, off by", first.offBy(refused), 0)
	needed, err := smallestBudget(first.said)
	if err != nil {
		return err
	}
	enough, err := b.pipeUnder(ctx, source, needed)
	if err != nil {
		return err
	}
	b.report.atMost("… under the smallest budget named, exit code 0, off by", enough.offBy(0), 0)
	b.report.atMost("… and the peak, MiB", inMiB(enough.PeakRSS), inMiB(needed))
	less, err := b.pipeUnder(ctx, source, needed-mib)
	if err != nil {
		return err
	}
	b.report.atMost("… under a MiB less, exit code 8, off by", less.offBy(refused), 0)
	return nil
}

// outcome of a command that may fail.
type outcome struct {
	usage
	code int
	said string // on standard error
}

func (o outcome) offBy(code int) float64 { return float64(max(o.code-code, code-o.code)) }

// pipeUnder uploads from a pipe to a directory, in chunks that don't fit
// manyBudget.
func (b *bench) pipeUnder(ctx context.Context, source string, budget int64) (outcome, error) {
	store, err := b.emptyDir("store")
	if err != nil {
		return outcome{}, err
	}
	stdin, err := pipe(source)
	if err != nil {
		return outcome{}, err
	}
	defer stdin.Close()
	cmd := b.uploadCommand(ctx, "--max-memory", strconv.FormatInt(budget, 10),
		"--chunk-size", fmt.Sprintf("%dMiB", manyBudget), "--name", "stream", "-", store)
	cmd.Stdin = stdin
	p, err := start(cmd)
	if err != nil {
		return outcome{}, err
	}
	used, err := p.wait()
	if !cmd.ProcessState.Exited() {
		return outcome{}, err
	}
	return outcome{used, cmd.ProcessState.ExitCode(), lastLines(p.stderr.String())}, nil
}

var namedBudget = regexp.MustCompile(`(?:smallest|at least)\D*(\d+(?:\.\d+)?) ?([KMG]i?B?)?`)

// smallestBudget reads the bytes out of a refusal.
func smallestBudget(said string) (int64, error) {
	match := namedBudget.FindStringSubmatch(said)
	if match == nil {
		return 0, fmt.Errorf("the refusal names no budget: %s", said)
	}
	number, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		return 0, fmt.Errorf("read the budget: %w", err)
	}
	unit := map[string]float64{"": 1, "K": kib, "M": mib, "G": gib}[strings.TrimRight(match[2], "iB")]
	return int64(number * unit), nil
}
