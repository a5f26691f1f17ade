package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

const cgroupLimit = 64 * mib

// A cgroup that limits memory and doesn't swap.
type cgroup struct {
	dir     string
	version int
}

// measureCgroup runs both sides of an upload in one cgroup, with the source
// out of the page cache, so that every page of it is charged there too.
func measureCgroup(ctx context.Context, b *bench) error {
	group, err := newCgroup(cgroupLimit)
	if err != nil {
		return fmt.Errorf("this machine allows no memory cgroup to be made: %w", err)
	}
	defer group.remove()
	if err := b.build(ctx); err != nil {
		return err
	}
	size := b.size(2*gib, 128*mib)
	source, err := b.source("source", size)
	if err != nil {
		return err
	}
	b.report.columns("source", "client peak MiB", "server peak MiB", "MiB/s", "limit hits", "kills")
	for _, shape := range []string{"file", "pipe"} {
		if err := evict(source); err != nil {
			return err
		}
		before, _, err := group.events()
		if err != nil {
			return err
		}
		t, failed := b.transfer(ctx, source, size, shape, "auto", group.wrap)
		after, kills, err := group.events()
		if err != nil {
			return err
		}
		if after == before {
			return fmt.Errorf("%s: the limit was never hit, so this says nothing", shape)
		}
		if failed != nil {
			b.report.note("%s: %v", shape, failed)
		}
		b.report.raw(t)
		b.report.row(shape, t.ClientMiB, t.ServerMiB, t.MiBPerSec, after-before, kills)
		b.report.atMost(shape+", processes killed", float64(kills), 0)
		b.report.atMost(shape+", uploads failed", float64(failures(failed)), 0)
	}
	b.report.note("cgroup v%d, %d MiB for both processes and the page cache of what they read and write", group.version, cgroupLimit/mib)
	return nil
}

func failures(err error) int {
	if err != nil {
		return 1
	}
	return 0
}

func newCgroup(limit int64) (*cgroup, error) {
	g := &cgroup{dir: "/sys/fs/cgroup/memory", version: 1}
	limitFile := "memory.limit_in_bytes"
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		g.dir, g.version, limitFile = "/sys/fs/cgroup", 2, "memory.max"
		// Fails where this process sits in the root of a container: then
		// memory.max below doesn't exist, and that error says so.
		_ = os.WriteFile(filepath.Join(g.dir, "cgroup.subtree_control"), []byte("+memory"), 0o644)
	}
	g.dir = filepath.Join(g.dir, fmt.Sprintf("streamflow-bench-%d", os.Getpid()))
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, limitFile), strconv.AppendInt(nil, limit, 10), 0o644); err != nil {
		g.remove()
		return nil, fmt.Errorf("limit the cgroup: %w", err)
	}
	for file, value := range map[string]string{"memory.swappiness": "0", "memory.swap.max": "0"} {
		err := os.WriteFile(filepath.Join(g.dir, file), []byte(value), 0o644)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			g.remove()
			return nil, fmt.Errorf("keep the cgroup from swapping: %w", err)
		}
	}
	return g, nil
}

func (g *cgroup) remove() { _ = os.Remove(g.dir) }

// wrap lets a shell join the cgroup before it becomes the command, so that
// nothing of the command is ever outside.
func (g *cgroup) wrap(ctx context.Context, cmd *exec.Cmd) *exec.Cmd {
	script := `echo $$ >"$0" && exec "$@"`
	return exec.CommandContext(ctx, "sh", append([]string{"-c", script, filepath.Join(g.dir, "cgroup.procs")}, cmd.Args...)...)
}

// events returns how often the limit was hit, and how many processes were
// killed for it.
func (g *cgroup) events() (hits, kills int64, err error) {
	if g.version == 2 {
		hits, err1 := g.field("memory.events", "max ")
		kills, err2 := g.field("memory.events", "oom_kill ")
		return hits, kills, errors.Join(err1, err2)
	}
	hits, err1 := g.field("memory.failcnt", "")
	kills, err2 := g.field("memory.oom_control", "oom_kill ")
	return hits, kills, errors.Join(err1, err2)
}

// field reads a number: the line's that begins with key, or the file's.
func (g *cgroup) field(file, key string) (int64, error) {
	content, err := os.ReadFile(filepath.Join(g.dir, file))
	if err != nil {
		return 0, fmt.Errorf("read the cgroup: %w", err)
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), key); found {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, fmt.Errorf("read the cgroup: no %s in %s", key, file)
}
