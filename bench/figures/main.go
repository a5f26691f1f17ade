// Command figures measures Streamflow from outside its processes: peak memory
// and CPU time from /proc, bytes from the wire and the disk, never from its own
// counters. Each subcommand prints one table with targets, writes the raw
// numbers as JSON, and exits 1 where a target is missed. See the README of
// bench.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// A figure measures one thing and writes what it saw into the report.
type figure struct {
	name, about string
	run         func(context.Context, *bench) error
}

func figures() []figure {
	return []figure{
		{"memory", "cost of one pooled chunk, beside the peers", measureMemory},
		{"rss", "peak memory of both sides under three budgets", measureRSS},
		{"many", "four files at once, chunk sizes up to what can't fit", measureMany},
		{"cgroup", "both sides in one memory cgroup of 64 MiB", measureCgroup},
		{"throughput", "beside tus-js-client and tusd", measureThroughput},
		{"kill", "kill -9 of either side during one upload", measureKill},
		{"full", "uploads until the budget is full, then until all are through", measureFull},
		{"pair", "2 GiB to our server and tusd, one upload and eight at once", measurePair},
		{"small", "100,000 uploads of 1 KiB to our server and tusd", measureSmall},
		{"slow", "thousands of uploads that each send a little now and then", measureSlow},
		{"crash", "kill -9 of the server while 50 uploads are under way", measureCrash},
		{"disk", "the disk runs full while 50 uploads are under way", measureDisk},
		{"storm", "garbage at a high rate: no crash, no growth", measureStorm},
		{"fuzz", "ten minutes of fuzzing each of what reads requests", measureFuzz},
		{"profile", "the memory manager's share of the CPU", measureProfile},
		{"s3-file", "2 GiB from a file to S3, beside five peers", measureS3File},
		{"s3-pipe", "2 GiB from a pipe to S3, beside five peers", measureS3Pipe},
		{"s3-compose", "a pipe that outgrows 10,000 parts", measureS3Compose},
		{"s3-cgroup", "a file and a pipe to S3 in a memory cgroup of 64 MiB", measureS3Cgroup},
		{"s3-small", "10,000 files of 10 KiB to S3, beside s5cmd and rclone", measureS3Small},
		{"s3-million", "a million tiny files: memory", measureS3Million},
		{"s3-many", "four files to S3 at once under 64 MiB, beside rclone", measureS3Many},
		{"s3-kill", "kill -9 of client and S3 server during uploads", measureS3Kill},
		{"s3-serve", "uploads to our server and tusd, both over S3", measureS3Serve},
		{"nodes", "kill -9 and pauses of three nodes over one bucket", measureNodes},
		{"fault", "uploads through connections that are slow, cut, stalled or corrupt", measureFault},
		{"peers", "build and install the peers, and nothing else", setUpPeers},
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	if len(args) == 0 {
		return help()
	}
	for _, f := range figures() {
		if f.name == args[0] {
			return measure(ctx, f, args[1:])
		}
	}
	return help()
}

func help() int {
	fmt.Fprintln(os.Stderr, "usage: go run ./figures FIGURE [flags], where FIGURE is")
	for _, f := range figures() {
		fmt.Fprintf(os.Stderr, "  %-11s %s\n", f.name, f.about)
	}
	return 2
}

func measure(ctx context.Context, f figure, args []string) int {
	var o options
	flags := flag.NewFlagSet(f.name, flag.ContinueOnError)
	o.addTo(flags)
	if err := flags.Parse(args); err != nil {
		return 2
	}
	b, err := newBench(ctx, f, o)
	if err != nil {
		slog.Error("set up", "figure", f.name, "error", err)
		return 1
	}
	defer b.close()
	if err := f.run(ctx, b); err != nil {
		slog.Error("measure", "figure", f.name, "error", err)
		return 1
	}
	if err := b.report.write(os.Stdout, b.results); err != nil {
		slog.Error("write the report", "figure", f.name, "error", err)
		return 1
	}
	if !b.report.passed() {
		return 1
	}
	return 0
}
