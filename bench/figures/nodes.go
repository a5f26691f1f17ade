package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/clusterstore"
)

const (
	nodeCount  = 3
	nodePrefix = "uploads"
)

// A fleet is nodes that share a bucket, behind a balancer.
type fleet struct {
	*bench
	bucket   *service
	balancer *balancer
	nodes    []*server
	kills    int
	pauses   int
	outages  int
}

// measureNodes has a crowd upload through three nodes that share a bucket. Each
// request meets another node. Nodes are killed, or paused in the middle of what
// they do and woken when others have gone on, and the S3 server is killed.
func measureNodes(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Minute)
	defer cancel()
	if err := b.build(ctx); err != nil {
		return err
	}
	bucket, err := b.startGateway(ctx, false)
	if err != nil {
		return err
	}
	defer func() { bucket.kill() }() // of the process that it is then
	c, err := b.newCrowd(b.size(14*mib, 6*mib), 2500*kib, 6*mib)
	if err != nil {
		return err
	}
	f := &fleet{bench: b, bucket: bucket, nodes: make([]*server, nodeCount)}
	strikes := b.count(150, 6)
	if err := f.underFire(ctx, c, strikes); err != nil {
		return err
	}
	unheard, removed, left, err := f.leftovers(ctx)
	if err != nil {
		return err
	}
	b.reportCrowd(c, fmt.Sprintf("%d nodes, %d kills, %d pauses, %d kills of the S3 server", nodeCount, f.kills, f.pauses, f.outages))
	b.report.note("uploads that were created and whose client never heard of it: %d; orphans of killed nodes: %d", unheard, removed)
	b.report.atMost("objects and multipart uploads left beside what is finished", float64(left), 0)
	return nil
}

func (f *fleet) underFire(ctx context.Context, c *crowd, strikes int) (err error) {
	if f.balancer, err = startBalancer(ctx, nodeCount); err != nil {
		return err
	}
	defer f.balancer.close()
	defer f.killAll()
	for i := range f.nodes {
		if err := f.start(ctx, i); err != nil {
			return err
		}
	}
	c.meets(f.balancer.url)
	crowd := c.gather(ctx, filepath.Join(f.bucket.dir, nodePrefix))
	defer crowd.disperse()
	for number := range strikes {
		select {
		case <-crowd.gone:
			return fmt.Errorf("an upload ended early: %w", crowd.err)
		case <-time.After(f.moment(time.Second)):
		}
		if err := f.strike(ctx, number); err != nil {
			return err
		}
	}
	c.rest()
	<-crowd.gone
	return crowd.err
}

func (f *fleet) moment(most time.Duration) time.Duration {
	return time.Duration(f.random.Int64N(int64(most)))
}

// serveNode starts our server over the bucket. More is added to its environment.
func (b *bench) serveNode(ctx context.Context, bucket *service, more ...string) (*server, error) {
	with := func(_ context.Context, cmd *exec.Cmd) *exec.Cmd { return bucket.with(cmd, more...) }
	return b.serve(ctx, "s3://"+bucketName+"/"+nodePrefix, with, "--max-memory", "64MiB", "--log-level", "warn")
}

// start starts a node as a machine of its own would.
func (f *fleet) start(ctx context.Context, i int) error {
	s, err := f.serveNode(ctx, f.bucket)
	if err != nil {
		return err
	}
	f.nodes[i] = s
	return f.balancer.join(i, s.url)
}

// strike does one of three things to the fleet, and has all be well again after it.
func (f *fleet) strike(ctx context.Context, number int) error {
	i := f.random.IntN(nodeCount)
	switch number % 3 {
	case 0:
		f.kills++
		f.nodes[i].kill()
		f.balancer.leave(i)
		return f.start(ctx, i)
	case 1:
		f.pauses++
		return f.pause(ctx, i)
	default:
		f.outages++
		f.bucket.kill()
		if err := f.wait(ctx, time.Second); err != nil {
			return err
		}
		return f.revive(ctx)
	}
}

// revive starts the S3 server again. Before it completes an upload versitygw renames
// it, and back where that fails; killed in between it never finds it again, though it
// has acknowledged its parts. So it is renamed back here.
func (f *fleet) revive(ctx context.Context) error {
	const claimed = ".inprogress"
	dirs, err := filepath.Glob(filepath.Join(f.bucket.dir, ".sgwtmp/multipart/*/*"+claimed))
	if err != nil {
		return fmt.Errorf("look for claimed uploads: %w", err)
	}
	for _, dir := range dirs {
		id, _, _ := strings.Cut(filepath.Base(dir), ".")
		upload := filepath.Join(filepath.Dir(dir), id)
		err := os.RemoveAll(upload) // by a part that came too late
		if err = errors.Join(err, os.Rename(dir, upload)); err != nil {
			return fmt.Errorf("give a claimed upload back: %w", err)
		}
	}
	return f.bucket.restart(ctx)
}

// pause has a node sleep in the middle of what it does: its clients go on
// elsewhere, and then it wakes.
func (f *fleet) pause(ctx context.Context, i int) error {
	node := f.nodes[i]
	if err := unix.Kill(node.pid(), unix.SIGSTOP); err != nil {
		return fmt.Errorf("pause a node: %w", err)
	}
	f.balancer.leave(i)
	if err := f.wait(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := unix.Kill(node.pid(), unix.SIGCONT); err != nil {
		return fmt.Errorf("wake a node: %w", err)
	}
	return f.balancer.join(i, node.url)
}

// wait waits for a random time.
func (f *fleet) wait(ctx context.Context, most time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(f.moment(most)):
		return nil
	}
}

func (f *fleet) killAll() {
	for _, s := range f.nodes {
		if s != nil {
			s.kill()
		}
	}
}

// leftovers removes what expires: uploads that nobody knows, and orphans. It counts
// the files that are left beside what finished uploads have.
func (f *fleet) leftovers(ctx context.Context) (unheard, removed, left int, err error) {
	mem, err := memory.New(nil)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	st, err := clusterstore.Open(bucketName, nodePrefix, mem, &clusterstore.Options{
		Endpoint: f.bucket.endpoint, Region: s3test.Region,
		Credentials: clusterstore.Credentials{AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey},
	})
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	for info, err := range st.Unfinished(ctx, time.Time{}) {
		if err != nil {
			return unheard, 0, 0, err
		}
		unheard++
		u, _, err := st.Open(ctx, info.ID)
		if err == nil {
			err = u.Abort(ctx)
		}
		if err != nil {
			return unheard, 0, 0, err
		}
	}
	if removed, err = st.RemoveOrphans(ctx, time.Now().Add(time.Hour)); err != nil {
		return unheard, removed, 0, err
	}
	left, err = f.filesLeft(ctx)
	return unheard, removed, left, err
}

// filesLeft counts the objects that no finished upload has, and the multipart uploads
// that S3 lists. Killed, the S3 server leaves files of its own that it doesn't list.
func (f *fleet) filesLeft(ctx context.Context) (left int, err error) {
	list := f.bucket.with(exec.CommandContext(ctx, f.binary, "list", "--incomplete", "--json", "s3://"+bucketName))
	multiparts, err := list.Output()
	if err != nil {
		return 0, fmt.Errorf("list multipart uploads: %w", err)
	}
	for line := range bytes.Lines(multiparts) {
		left++
		f.report.note("left is %s", bytes.TrimSpace(line))
	}
	err = filepath.WalkDir(f.bucket.dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".sgwtmp" || entry.Name() == ".vgwlocks"):
			return fs.SkipDir
		case entry.IsDir(), strings.Contains(entry.Name(), ".sgwtmp."):
			return nil
		}
		finished := filepath.Join(f.bucket.dir, nodePrefix, ".streamflow/finished", entry.Name())
		if _, err := os.Stat(finished); err != nil {
			left++
			f.report.note("left is %s", strings.TrimPrefix(path, f.bucket.dir+"/"))
		}
		return nil
	})
	return left, err
}
