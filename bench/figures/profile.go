package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/google/pprof/profile"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/tusstore"
)

const (
	profileBudget = 64 * mib
	memoryPackage = "github.com/streamflow/streamflow/memory."
)

// measureProfile uploads with the engine in this process, as the command line
// sets it up, to a server in another one, and looks where the CPU went.
func measureProfile(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	size := b.size(4*gib, 512*mib)
	source, err := b.source("source", size)
	if err != nil {
		return err
	}
	process, err := memory.OpenProcess(&memory.Options{Limit: profileBudget})
	if err != nil {
		return fmt.Errorf("open the budget: %w", err)
	}
	defer process.Close()
	b.report.columns("source", "CPU s sampled", "in memory, % of CPU", "itself, % of CPU")
	for _, shape := range []string{"file", "pipe"} {
		if err := b.profileShape(ctx, process.Manager(), source, shape); err != nil {
			return fmt.Errorf("%s: %w", shape, err)
		}
	}
	return nil
}

func (b *bench) profileShape(ctx context.Context, mem *memory.Manager, source, shape string) error {
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	server, err := b.serve(ctx, store, nil, "--max-memory", "64MiB")
	if err != nil {
		return err
	}
	defer server.kill()
	path := filepath.Join(b.root, "out", "profile-"+shape+".pprof")
	uploads := func() error {
		for range b.count(3, 1) {
			if err := uploadHere(ctx, mem, server.url, source, shape); err != nil {
				return err
			}
		}
		return nil
	}
	err = record(path, uploads)
	_, stopErr := server.stop()
	if err := errors.Join(err, stopErr); err != nil {
		return err
	}
	s, err := memoryShare(path)
	if err != nil {
		return err
	}
	b.report.raw(s)
	b.report.row(shape, s.Total.Seconds(), s.below(), 100*float64(s.Itself)/float64(s.Total))
	for entry, cpu := range s.Entries {
		b.report.note("%s: %.2f %% in %s", shape, 100*float64(cpu)/float64(s.Total), entry)
	}
	if !b.quick { // a few dozen samples say nothing
		b.report.atMost(shape+", share of the memory manager and all it calls, %", s.below(), 1)
	}
	return nil
}

// record keeps a CPU profile of what do does, for go tool pprof too.
func record(path string, do func() error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("keep a profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return errors.Join(fmt.Errorf("profile: %w", err), file.Close())
	}
	err = do()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}

func uploadHere(ctx context.Context, mem *memory.Manager, url, source, shape string) (err error) {
	destination, err := tusstore.Open(url, mem, nil)
	if err != nil {
		return fmt.Errorf("open the destination: %w", err)
	}
	manager, err := streamflow.New(destination, &streamflow.Options{Memory: mem})
	if err != nil {
		return fmt.Errorf("make the engine: %w", err)
	}
	defer func() { err = errors.Join(err, manager.Close()) }()
	from, err := streamflow.OpenFile(source)
	if err != nil {
		return err
	}
	if shape == "pipe" {
		file, err := os.Open(source)
		if err != nil {
			return errors.Join(err, from.Close())
		}
		if err := from.Close(); err != nil {
			return err
		}
		from = streamflow.Stream("stream", struct{ io.ReadCloser }{file})
	}
	upload, err := manager.Upload(ctx, from)
	if err != nil {
		return fmt.Errorf("begin the upload: %w", err)
	}
	_, err = upload.Wait(ctx)
	return err
}

// share of a profile.
type share struct {
	Total  time.Duration `json:"total_ns"`
	Below  time.Duration `json:"memory_and_below_ns"`
	Itself time.Duration `json:"memory_itself_ns"`
	// Entries divide Below by the function that was called from outside.
	Entries map[string]time.Duration `json:"entries_ns"`
}

func (s share) below() float64 { return 100 * float64(s.Below) / float64(s.Total) }

// memoryShare adds up the samples with package memory anywhere on the stack,
// and those with it on top.
func memoryShare(path string) (share, error) {
	file, err := os.Open(path)
	if err != nil {
		return share{}, fmt.Errorf("open the profile: %w", err)
	}
	defer file.Close()
	p, err := profile.Parse(file)
	if err != nil {
		return share{}, fmt.Errorf("read the profile: %w", err)
	}
	s := share{Entries: map[string]time.Duration{}}
	for _, sample := range p.Sample {
		cpu := time.Duration(sample.Value[len(sample.Value)-1])
		s.Total += cpu
		if entry := outermost(sample); entry != "" {
			s.Below += cpu
			s.Entries[entry] += cpu
		}
		if inMemory(sample.Location[0]) != "" {
			s.Itself += cpu
		}
	}
	if s.Total == 0 {
		return s, errors.New("the profile has no samples")
	}
	return s, nil
}

// outermost returns the function by which a sample came into package memory.
func outermost(sample *profile.Sample) string {
	for _, location := range slices.Backward(sample.Location) {
		if name := inMemory(location); name != "" {
			return name
		}
	}
	return ""
}

// inMemory returns the outermost of the location's functions that are of
// package memory; there are several where they were inlined.
func inMemory(location *profile.Location) string {
	for _, line := range slices.Backward(location.Line) {
		if line.Function == nil {
			continue
		}
		if name, found := strings.CutPrefix(line.Function.Name, memoryPackage); found {
			return name
		}
	}
	return ""
}
