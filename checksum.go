package streamflow

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	// A checkpoint is made after so many bytes, or so much time.
	checkpointBytes = 64 << 20
	checkpointEvery = 5 * time.Second
	// maxCheckpoints are kept. A destination that has lost more than they
	// reach back costs reading the file again from its start, no more.
	maxCheckpoints = 32

	rereadBytes = 256 << 10
)

// checkpoints are sums of prefixes of the source. They say nothing about what
// has arrived, so they may run ahead of it.
type checkpoints struct {
	added chan struct{} // holds a token after an add

	mu     sync.Mutex
	points []journal.Checkpoint // by rising offset
}

func newCheckpoints(points []journal.Checkpoint) *checkpoints {
	return &checkpoints{added: make(chan struct{}, 1), points: points}
}

func (c *checkpoints) add(off int64, sum uint32) {
	c.mu.Lock()
	if n := len(c.points); off > 0 && (n == 0 || off > c.points[n-1].Offset) {
		c.points = append(c.points, journal.Checkpoint{Offset: off, CRC32C: sum})
		if len(c.points) > maxCheckpoints {
			c.points = slices.Delete(c.points, 0, 1)
		}
	}
	c.mu.Unlock()
	select {
	case c.added <- struct{}{}:
	default:
	}
}

// before returns the last checkpoint that isn't beyond off.
func (c *checkpoints) before(off int64) journal.Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range slices.Backward(c.points) {
		if p.Offset <= off {
			return p
		}
	}
	return journal.Checkpoint{}
}

func (c *checkpoints) all() []journal.Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.points)
}

// pace makes a checkpoint now and then of a prefix that grows.
type pace struct {
	to   *checkpoints
	last int64
	at   time.Time
}

func (p *pace) passed(now time.Time, off int64, sum uint32) {
	if off-p.last < checkpointBytes && now.Sub(p.at) < checkpointEvery {
		return
	}
	p.last, p.at = off, now
	p.to.add(off, sum)
}

// sumOf returns the sum of the file's bytes before off, reading again only what
// follows the last checkpoint.
func (u *Upload) sumOf(ctx context.Context, off int64) (uint32, error) {
	if u.m.opts.DisableChecksum {
		return 0, nil
	}
	p := u.checkpoints.before(off)
	return u.reread(ctx, p.Offset, off, p.CRC32C)
}

// reread sums [off, end) of the file on top of sum.
func (u *Upload) reread(ctx context.Context, off, end int64, sum uint32) (uint32, error) {
	if off == end {
		return sum, nil
	}
	// From the whole budget, as a store's buffers are: it is held for this
	// loop only, and a file is never refused for it.
	size := min(end-off, rereadBytes, max(u.m.mem.Limit()/8, 4<<10))
	buf, err := u.m.mem.Acquire(ctx, memory.KindTransfer, int(size))
	if err != nil {
		return 0, err
	}
	defer func() { _ = buf.Release() }()
	var notSent counters
	r := fileReader{src: u.src, counters: &notSent, off: off, end: end, hash: true, sum: sum}
	for r.off < r.end {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if _, err := r.Read(buf.Bytes()); err != nil {
			return 0, err
		}
	}
	u.counters.processing.Add(notSent.processing.Load())
	return r.sum, nil
}

// parts combines the sums of units that are read in any order.
type parts struct {
	pace pace

	mu   sync.Mutex
	next int64  // end of the prefix whose sum is known
	sum  uint32 // of it
	done map[int64]part
}

type part struct {
	length int64
	sum    uint32
}

func newParts(from journal.Checkpoint, to *checkpoints) *parts {
	return &parts{
		pace: pace{to: to, last: from.Offset, at: time.Now()},
		next: from.Offset, sum: from.CRC32C, done: map[int64]part{},
	}
}

func (p *parts) add(off int64, q part) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if off < p.next {
		return
	}
	p.done[off] = q
	for {
		q, ok := p.done[p.next]
		if !ok {
			break
		}
		delete(p.done, p.next)
		p.sum = checksum.Combine(p.sum, q.sum, q.length)
		p.next += q.length
	}
	p.pace.passed(time.Now(), p.next, p.sum)
}

// has reports whether the sum of the unit at off is known.
func (p *parts) has(off int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.done[off]
	return ok || off < p.next
}

// sum returns the sum of the whole source, once all of it was read.
func (u *Upload) sum(ctx context.Context) (store.Sum, error) {
	if u.m.opts.DisableChecksum {
		return store.Sum{}, nil
	}
	var sum uint32
	var err error
	switch {
	case u.stream != nil:
		sum = u.stream.finished.sum
	case u.parts != nil && u.parts.next == u.object.length:
		sum = u.parts.sum
	default:
		sum, err = u.sumOf(ctx, u.object.length)
	}
	return store.Sum{CRC32C: sum, Known: err == nil}, err
}

// timed counts what f takes as processing.
func (u *Upload) timed(f func() uint32) uint32 {
	start := time.Now()
	defer func() { u.counters.processing.Add(int64(time.Since(start))) }()
	return f()
}
