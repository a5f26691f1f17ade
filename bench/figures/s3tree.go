package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// An errand is a tree of files sent by one uploader.
type errand struct {
	Service  string  `json:"service"`
	Uploader string  `json:"uploader"`
	Files    int     `json:"files"`
	Seconds  float64 `json:"seconds"`
	PeakMiB  float64 `json:"peak_mib"`
	CPU      float64 `json:"cpu_microseconds_per_file"`
}

func (e errand) took() float64 { return e.Seconds }
func (e errand) peak() float64 { return e.PeakMiB }

// measureS3Small sends 10,000 files of 10 KiB, beside s5cmd and rclone.
func measureS3Small(ctx context.Context, b *bench) error {
	if err := errors.Join(b.build(ctx), b.s3Peers(ctx)); err != nil {
		return err
	}
	files := int(b.size(10_000*mib, 500*mib) / mib) // -size counts files here
	tree, err := b.tree("tree", files, func(int) int { return 10 * kib })
	if err != nil {
		return err
	}
	b.report.columns("service", "uploader", "seconds", "over ours", "CPU µs a file", "peak MiB")
	for _, name := range []string{overTLS, farSink} {
		runs, err := b.treeRounds(ctx, name, tree, files)
		if err != nil {
			return err
		}
		b.reportTrees(name, runs)
	}
	return nil
}

func (b *bench) treeRounds(ctx context.Context, name, tree string, files int) (map[string][]errand, error) {
	s, err := b.startService(ctx, name)
	if err != nil {
		return nil, err
	}
	defer s.kill()
	uploaders := b.treeUploaders()
	last := len(uploaders) - 1 // takes minutes: once is enough
	runs := map[string][]errand{}
	turns := slices.Collect(inTurns(b.random, b.count(5, 1), uploaders[:last]))
	for _, u := range append(turns, uploaders[last]) {
		e, err := b.sendTree(ctx, s, u, tree, files)
		if err != nil {
			return nil, fmt.Errorf("%s to %s: %w", u, name, err)
		}
		e.Service = name
		b.report.raw(e)
		runs[u.String()] = append(runs[u.String()], e)
	}
	return runs, nil
}

func (b *bench) reportTrees(name string, runs map[string][]errand) {
	for _, u := range b.treeUploaders() {
		r := runs[u.String()]
		b.report.row(name, u, medianOf(r, errand.took), ratio(r, runs[ours], errand.took),
			medianOf(r, func(e errand) float64 { return e.CPU }), slices.Max(each(r, errand.peak)))
	}
	if !b.quick {
		b.report.atMost(name+", time over s5cmd's", ratio(runs[ours], runs["s5cmd"], errand.took), 0.8)
	}
	b.report.atMost(name+", peak, MiB", slices.Max(each(runs[ours], errand.peak)), 32)
}

// treeUploaders send a directory with all below it. What of their settings is
// for parts says nothing here. None of them looks at what is there already.
func (b *bench) treeUploaders() []uploader {
	to := "s3://" + bucketName + "/"
	return []uploader{
		{name: ours, object: func(ctx context.Context, s *service, tree string) *exec.Cmd {
			return s.with(b.uploadCommand(ctx, "--no-resume", tree, to))
		}},
		{name: ours, lean: true, object: func(ctx context.Context, s *service, tree string) *exec.Cmd {
			return s.with(b.uploadCommand(ctx, "--no-resume", "--max-memory", "32MiB", tree, to))
		}},
		{name: "s5cmd", object: func(ctx context.Context, s *service, tree string) *exec.Cmd {
			return s.with(exec.CommandContext(ctx, b.s3Peer("s5cmd"), "--endpoint-url", s.endpoint, "cp", tree, to))
		}},
		{name: "s5cmd", lean: true, object: func(ctx context.Context, s *service, tree string) *exec.Cmd {
			return s.with(exec.CommandContext(ctx, b.s3Peer("s5cmd"), "--endpoint-url", s.endpoint, "--numworkers", "4", "cp", tree, to))
		}},
		{name: "rclone", object: func(ctx context.Context, s *service, tree string) *exec.Cmd {
			return s.with(exec.CommandContext(ctx, b.s3Peer("rclone"), append(rcloneRemote(s), "copy", "--no-check-dest", tree, ":s3:"+bucketName+"/"+filepath.Base(tree))...))
		}},
	}
}

func (b *bench) sendTree(ctx context.Context, s *service, u uploader, tree string, files int) (errand, error) {
	if err := s.empty(); err != nil {
		return errand{}, err
	}
	var before map[string]int64
	if s.dir == "" {
		var err error
		if before, err = s.counts(ctx); err != nil {
			return errand{}, err
		}
	}
	used, err := runToEnd(u.object(ctx, s, tree))
	if err != nil {
		return errand{}, err
	}
	e := errand{
		Uploader: u.String(), Files: files, Seconds: used.Wall.Seconds(), PeakMiB: inMiB(used.PeakRSS),
		CPU: float64(used.CPU.Microseconds()) / float64(files),
	}
	if s.dir != "" {
		return e, sameTree(tree, s.dir, files)
	}
	after, err := s.counts(ctx)
	if sent := after["PutObject"] - before["PutObject"]; err == nil && sent != int64(files) {
		err = fmt.Errorf("the sink got %d objects of %d", sent, files)
	}
	return e, err
}

// sameTree finds each of the files somewhere in the bucket: some uploaders keep
// the directory's name, some don't.
func sameTree(tree, bucket string, files int) error {
	root := filepath.Join(bucket, filepath.Base(tree))
	if _, err := os.Stat(root); err != nil {
		root = bucket
	}
	var found int
	err := filepath.WalkDir(tree, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(tree, path)
		if err != nil {
			return err
		}
		want, errWant := os.ReadFile(path)
		got, errGot := os.ReadFile(filepath.Join(root, name))
		if err := errors.Join(errWant, errGot); err != nil {
			return err
		}
		if !bytes.Equal(want, got) {
			return fmt.Errorf("%s differs", name)
		}
		found++
		return nil
	})
	if err == nil && found != files {
		err = fmt.Errorf("%d files of %d", found, files)
	}
	if err != nil {
		return fmt.Errorf("compare the trees: %w", err)
	}
	return nil
}

// tree makes files in directories of a thousand each, of a size each.
func (b *bench) tree(name string, files int, size func(i int) int) (string, error) {
	top, err := b.emptyDir(name)
	if err != nil {
		return "", err
	}
	random := rand.NewChaCha8([32]byte{})
	content := make([]byte, 64*kib)
	var dir string
	for i := range files {
		if i%1000 == 0 {
			dir = filepath.Join(top, fmt.Sprintf("%04d", i/1000))
			if err := os.Mkdir(dir, 0o755); err != nil {
				return "", fmt.Errorf("make a tree: %w", err)
			}
		}
		p := content[:size(i)]
		_, _ = random.Read(p)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.bin", i%1000)), p, 0o644); err != nil {
			return "", fmt.Errorf("make a tree: %w", err)
		}
	}
	return top, nil
}

// measureS3Million sends a million files that are empty or tiny, first not at
// all (--dry-run), then to the sink, and samples the memory on the way.
func measureS3Million(ctx context.Context, b *bench) error {
	if err := b.build(ctx); err != nil {
		return err
	}
	files := int(b.size(1_000_000*mib, 20_000*mib) / mib) // -size counts files here
	tree, err := b.tree("tree", files, func(i int) int { return i % 2 * (i % 100) })
	if err != nil {
		return err
	}
	s, err := b.startSink(ctx)
	if err != nil {
		return err
	}
	defer s.kill()
	b.report.columns("work", "files", "seconds", "files/s", "RSS early MiB", "peak MiB", "objects")
	for _, dry := range []bool{true, false} {
		if err := b.sendMillion(ctx, s, tree, files, dry); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) sendMillion(ctx context.Context, s *service, tree string, files int, dry bool) error {
	work, args := "to a sink", []string{"--no-resume", tree, "s3://" + bucketName + "/"}
	if dry {
		work, args = "dry run", append([]string{"--dry-run"}, args...)
	}
	cmd := s.with(b.uploadCommand(ctx, args...))
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer null.Close()
	cmd.Stdout = null // a line for each file
	p, err := start(cmd)
	if err != nil {
		return err
	}
	samples := sampleMemory(p)
	used, err := p.wait()
	if err != nil {
		return fmt.Errorf("%s: %w", work, err)
	}
	rss := <-samples
	counts, err := s.counts(ctx)
	if err != nil {
		return err
	}
	objects := counts["PutObject"] + counts["CompleteMultipartUpload"]
	b.report.raw(map[string]any{"work": work, "rss_bytes_each_second": rss, "counts": counts})
	b.report.row(work, files, used.Wall.Seconds(), float64(files)/used.Wall.Seconds(), inMiB(slices.Max(append(rss[:len(rss)/5:len(rss)/5], 0))), inMiB(used.PeakRSS), objects)
	b.report.atMost(work+", growth of the memory after a fifth", growthOf(rss), 1.1)
	b.report.atMost(work+", peak, MiB", inMiB(used.PeakRSS), 32)
	if !dry {
		b.report.atLeast(work+", objects", float64(objects), float64(files))
	}
	return nil
}
