package streamflow

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// promptTime is within how long half of a unit must come for it to be sent while the
// rest comes, and how long a Write waits for some of that. A connection to a slow
// source would only wait, and servers end those that do.
const promptTime = 2 * time.Second

// A unit is a part of a stream, in memory. The stream's reader fills it, and one
// goroutine at a time sends it, which may begin before it is full.
type unit struct {
	off    int64
	buf    memory.Buffer
	room   []byte // what it takes, of buf
	summed bool

	dropped atomic.Bool

	mu     sync.Mutex
	filled int    // bytes of room
	crc    uint32 // of those, where summed
	full   bool   // nothing more comes
	wanted int
	more   chan struct{} // where not nil, closed once wanted bytes are there, or it is full

	// These are set when it is full, and don't change any more.
	p    []byte // all it has
	sum  uint32 // of the stream up to its end
	last bool
	err  error // why the source ended early
}

func (n *unit) end() int64 { return n.off + int64(len(n.p)) }

// own is the sum of its bytes, of those that are there.
func (n *unit) own() store.Sum {
	n.mu.Lock()
	defer n.mu.Unlock()
	return store.Sum{CRC32C: n.crc, Known: n.summed}
}

// grow notes that n has so many bytes more, which follow each other.
func (n *unit) grow(bytes int, crc uint32) (filled int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filled += bytes
	n.crc = crc
	if n.filled >= n.wanted {
		n.wake()
	}
	return n.filled
}

// finish notes that nothing more comes. before is the sum of the stream up to n.
func (n *unit) finish(before uint32, last bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.p, n.last, n.err = n.room[:n.filled], last, err
	if n.summed {
		n.sum = checksum.Combine(before, n.crc, int64(n.filled))
	}
	n.full = true
	n.wake()
}

// wake is called with mu held.
func (n *unit) wake() {
	if n.more != nil {
		close(n.more)
		n.more = nil
	}
}

// reach returns how many bytes are there, and where those are less than wanted and
// more may come, a channel that is closed when either has changed.
func (n *unit) reach(wanted int) (filled int, more <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.full || n.filled >= wanted {
		return n.filled, nil
	}
	n.wanted = wanted
	if n.more == nil {
		n.more = make(chan struct{})
	}
	return n.filled, n.more
}

// isFull reports whether all of it is there.
func (n *unit) isFull() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.full
}

// wait waits until it is full. The error is the source's, or ctx has ended.
func (n *unit) wait(ctx context.Context) error {
	if _, more := n.reach(math.MaxInt); more != nil {
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return n.err
}

// await waits until so many bytes are there, for a short time. It returns how many are.
func (n *unit) await(ctx context.Context, wanted int) (filled int) {
	filled, more := n.reach(wanted)
	if more == nil {
		return filled
	}
	patience := time.NewTimer(promptTime)
	defer patience.Stop()
	select {
	case <-more:
		filled, _ = n.reach(0)
	case <-patience.C:
	case <-ctx.Done():
	}
	return filled
}
