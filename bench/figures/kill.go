package main

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// killUnit is the chunk size of the upload: what may be sent again.
const killUnit = mib

// A killing is one upload that goes on although its sides are killed.
type killing struct {
	*bench
	source string
	size   int64
	proxy  *proxy
	store  string
	server *server  // nil while dead
	port   int      // of the server
	client *process // nil while dead
}

// A blow kills one side: at a position of the upload, or a moment after the
// side that was killed last has come back.
type blow struct {
	server   bool
	position int64         // or
	after    time.Duration // where not 0
}

// measureKill kills either side of one upload at random moments and looks at
// the wire for what passes twice.
func measureKill(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if err := b.build(ctx); err != nil {
		return err
	}
	size := b.size(2*gib, 192*mib)
	source, err := b.source("source", size)
	if err != nil {
		return err
	}
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	k := &killing{bench: b, source: source, size: size, store: store}
	if k.proxy, err = newProxy(ctx); err != nil {
		return err
	}
	defer k.proxy.close()
	defer k.end()
	blows := k.plan(b.count(50, 10), size)
	for i, blow := range blows {
		if err := k.strike(ctx, blow); err != nil {
			return fmt.Errorf("kill %d of %d: %w", i+1, len(blows), err)
		}
	}
	return k.conclude(ctx, blows)
}

// plan spreads the blows over the upload; every fifth comes within 50 ms of
// the last restart instead, while the upload is being taken up again.
func (k *killing) plan(count int, size int64) []blow {
	positions := make([]int64, count)
	for i := range positions {
		positions[i] = k.random.Int64N(size * 9 / 10)
	}
	slices.Sort(positions)
	blows := make([]blow, count)
	for i := range blows {
		blows[i] = blow{server: k.random.IntN(2) == 0, position: positions[i]}
		if i%5 == 4 {
			blows[i].after = time.Duration(1 + k.random.Int64N(int64(50*time.Millisecond)))
		}
	}
	return blows
}

func (k *killing) strike(ctx context.Context, blow blow) error {
	if err := k.revive(ctx); err != nil {
		return err
	}
	if err := k.await(ctx, blow); err != nil {
		return err
	}
	if blow.server {
		return k.killServer()
	}
	return k.killClient()
}

// revive starts the side that isn't there.
func (k *killing) revive(ctx context.Context) error {
	if k.server == nil {
		server, err := k.serve(ctx, k.store, nil)
		if err != nil {
			return err
		}
		at, err := url.Parse(server.url)
		if err != nil {
			return fmt.Errorf("read the server's URL: %w", err)
		}
		k.server = server
		if k.port, err = strconv.Atoi(at.Port()); err != nil {
			return fmt.Errorf("read the server's port: %w", err)
		}
		k.proxy.connect(at.Host)
	}
	if k.client == nil {
		client, err := start(k.command(ctx))
		if err != nil {
			return err
		}
		k.client = client
	}
	return nil
}

func (k *killing) command(ctx context.Context) *exec.Cmd {
	return k.uploadCommand(ctx, "--chunk-size", strconv.Itoa(killUnit), k.source, k.proxy.url())
}

// await returns at the moment of the blow.
func (k *killing) await(ctx context.Context, blow blow) error {
	moment := time.After(blow.after)
	ticker := time.NewTicker(200 * time.Microsecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.client.done:
			return fmt.Errorf("the client ended early: %w: %s", k.client.err, lastLines(k.client.stderr.String()))
		case <-moment:
			if blow.after > 0 {
				return nil
			}
		case <-ticker.C:
			if blow.after == 0 && k.proxy.position() >= blow.position {
				return nil
			}
		}
	}
}

// killServer stops the server first: a stopped process does no more than a
// dead one, and what the client goes on to send stays where it can be counted.
func (k *killing) killServer() error {
	if err := k.server.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	for before := int64(-1); before != k.proxy.position(); time.Sleep(20 * time.Millisecond) {
		before = k.proxy.position()
	}
	waiting, err := queued(k.port)
	if err != nil {
		return err
	}
	k.proxy.excuse(waiting + proxyBuffer)
	k.server.kill()
	k.server = nil
	return nil
}

// killClient counts what the dead client left on its way.
func (k *killing) killClient() error {
	k.client.kill()
	waiting, err := queued(k.port, k.proxy.port())
	if err != nil {
		return err
	}
	k.proxy.excuse(waiting + proxyBuffer)
	k.client = nil
	return nil
}

// conclude lets the upload end and checks what is stored.
func (k *killing) conclude(ctx context.Context, blows []blow) error {
	if err := k.revive(ctx); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-k.client.done:
	}
	if _, err := k.client.wait(); err != nil {
		return err
	}
	last, err := parseSummary(k.client.stdout.Bytes())
	if err != nil {
		return err
	}
	if _, err := k.server.stop(); err != nil {
		return err
	}
	k.server, k.client = nil, nil
	k.reportKills(blows, last, verify(k.source, k.store))
	return nil
}

func (k *killing) reportKills(blows []blow, last summary, stored error) {
	var servers int
	for _, blow := range blows {
		if blow.server {
			servers++
		}
	}
	var most, beyond int64
	for _, r := range k.proxy.resumes {
		k.report.raw(r)
		most = max(most, r.Resent)
		beyond = max(beyond, r.Resent-r.Excused)
	}
	if stored != nil {
		k.report.note("%v", stored)
	}
	k.report.columns("kills", "of the server", "resumes seen", "creations", "resent MiB in all", "most MiB at once", "last run resumed at MiB")
	k.report.row(len(blows), servers, len(k.proxy.resumes), k.proxy.creates, inMiB(k.proxy.passed-k.size), inMiB(most), inMiB(last.ResumedBytes))
	k.report.atMost("files that differ from the source", float64(failures(stored)), 0)
	k.report.atMost("resent beyond the socket buffers after one kill, MiB", inMiB(beyond), inMiB(killUnit))
}

// end leaves no process behind.
func (k *killing) end() {
	if k.client != nil {
		k.client.kill()
	}
	if k.server != nil {
		k.server.kill()
	}
}
