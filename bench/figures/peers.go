package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// peerTools are the programs we are measured beside. Their versions are pinned
// in ../peers/go.mod and ../peers/package-lock.json.
type peerTools struct {
	tusd   string // the executable
	synced string // tusd that syncs what it finishes
	script string // node script around tus-js-client
}

func setUpPeers(ctx context.Context, b *bench) error {
	_, err := b.peers(ctx)
	return err
}

// peers builds and installs what isn't there yet.
func (b *bench) peers(ctx context.Context) (peerTools, error) {
	top := filepath.Dir(b.root)
	tools := peerTools{
		tusd:   filepath.Join(top, "bin", "tusd"),
		synced: filepath.Join(top, "bin", "synced"),
		script: filepath.Join(top, "peers", "upload.mjs"),
	}
	return tools, errors.Join(command(ctx, top, "make", "peers"), b.noteVersion(ctx, "tusd", ".", "github.com/tus/tusd/v2"))
}

// noteVersion reports which version of a module one of the modules of peers
// pins.
func (b *bench) noteVersion(ctx context.Context, name, dir, module string) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", module)
	cmd.Dir = filepath.Join(filepath.Dir(b.root), "peers", dir)
	version, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("find the version of %s: %w", name, err)
	}
	b.report.Versions[name] = strings.TrimSpace(string(version))
	return nil
}

func command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// startTusd runs tusd over store on a free port.
func (t peerTools) startTusd(ctx context.Context, store string) (*server, error) {
	return startPeer(ctx, store, func(port string) *exec.Cmd {
		return exec.CommandContext(ctx, t.tusd, "-host", "127.0.0.1", "-port", port,
			"-upload-dir", store, "-verbose=false", "-show-greeting=false")
	})
}

// startSynced is startTusd for the one that syncs.
func (t peerTools) startSynced(ctx context.Context, store string) (*server, error) {
	return startPeer(ctx, store, func(port string) *exec.Cmd {
		return exec.CommandContext(ctx, t.synced, "-address", net.JoinHostPort("127.0.0.1", port), "-upload-dir", store)
	})
}

func startPeer(ctx context.Context, store string, on func(port string) *exec.Cmd) (*server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + "/files/"
	p, err := startAt(ctx, on(strconv.Itoa(port)), url)
	if err != nil {
		return nil, err
	}
	return &server{process: p, url: url, store: store}, nil
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// buildBare compiles the bare handler that our server is measured beside.
func (b *bench) buildBare(ctx context.Context) (string, error) {
	binary := filepath.Join(b.work, "bare")
	return binary, command(ctx, b.root, "go", "build", "-o", binary, "./bare")
}

// startBare runs the bare handler, which keeps bodies in dir or nowhere.
func startBare(ctx context.Context, binary, dir string) (*server, error) {
	p, url, err := startAnnounced(exec.CommandContext(ctx, binary, "-dir", dir))
	if err != nil {
		return nil, err
	}
	return &server{process: p, url: url, store: dir}, nil
}
