package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A server is a `streamflow serve` under measurement.
type server struct {
	*process
	url   string // of its uploads
	store string
}

// A wrapper turns a command into another that runs it somewhere, such as in a
// cgroup.
type wrapper func(context.Context, *exec.Cmd) *exec.Cmd

// serve starts a server over store on a free port and waits until it is ready.
func (b *bench) serve(ctx context.Context, store string, wrap wrapper, flags ...string) (*server, error) {
	ready := filepath.Join(b.work, "ready")
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old ready file: %w", err)
	}
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--ready-file", ready, "--store", store}, flags...)
	cmd := exec.CommandContext(ctx, b.binary, args...)
	if wrap != nil {
		cmd = wrap(ctx, cmd)
	}
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	url, err := waitReady(ctx, p, ready)
	if err != nil {
		p.kill()
		return nil, err
	}
	return &server{process: p, url: url, store: store}, nil
}

func waitReady(ctx context.Context, p *process, ready string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		content, err := os.ReadFile(ready)
		if err == nil && strings.HasSuffix(string(content), "\n") {
			return strings.TrimSpace(string(content)), nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("wait for the server: %w", ctx.Err())
		case <-p.done:
			return "", fmt.Errorf("server ended before it was ready: %w: %s", p.err, lastLines(p.stderr.String()))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// uploadCommand is a `streamflow upload` with a journal of its own, unless the
// flags name one.
func (b *bench) uploadCommand(ctx context.Context, args ...string) *exec.Cmd {
	all := []string{"upload", "--json", "--state-dir", filepath.Join(b.work, "state")}
	return exec.CommandContext(ctx, b.binary, append(all, args...)...)
}

// summary is the last line of --json.
type summary struct {
	Type         string `json:"message_type"`
	Files        int    `json:"files"`
	Bytes        int64  `json:"bytes"`
	ResumedBytes int64  `json:"resumed_bytes"`
	Retries      int    `json:"retries"`
}

func parseSummary(out []byte) (summary, error) {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var s summary
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &s); err != nil {
		return s, fmt.Errorf("read the summary: %w", err)
	}
	if s.Type != "summary" {
		return s, fmt.Errorf("the last line is no summary: %s", lines[len(lines)-1])
	}
	return s, nil
}
