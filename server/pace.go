package server

import (
	"context"
	"time"

	"github.com/streamflow/streamflow/memory"
)

// A patience is how long a body may still keep its reader waiting. Each byte
// adds to it what it may take at the least rate, so that a body that trickles
// ends like one that is idle, and a stall after many bytes is forgiven.
type patience struct {
	most time.Duration
	rate int64 // bytes a second, or negative where only idleness counts
	left time.Duration
}

func newPatience(most time.Duration, rate int64) patience {
	return patience{most: most, rate: rate, left: most}
}

// spend counts n bytes that came after a wait.
func (p *patience) spend(wait time.Duration, n int) {
	if p.rate < 0 {
		return
	}
	earned := time.Duration(float64(n) / float64(p.rate) * float64(time.Second))
	p.left = min(p.left-wait+earned, p.most)
}

const (
	// pacedBytes are read a second of all bodies together while memory is short,
	// each getting the same, but none less than pacedLeast.
	pacedBytes = 64 << 20
	pacedLeast = 16 << 10
	// unpacedRead is the size up to which a Read isn't cut.
	unpacedRead = 4 << 10
)

// A pace slows one body down while memory is short. A large Read is cut then:
// the store takes that for the end of what is there, and waits without a buffer.
type pace struct {
	level  func() memory.Level
	bodies func() int
	next   time.Time // of a Read, or zero
}

// cut returns how much of p to read now.
func (c *pace) cut(p []byte) []byte {
	if len(p) > unpacedRead && c.level() != memory.Normal {
		return p[:len(p)/2]
	}
	return p
}

// took counts n bytes.
func (c *pace) took(n int) {
	if c.level() == memory.Normal {
		c.next = time.Time{}
		return
	}
	share := max(pacedBytes/max(c.bodies(), 1), pacedLeast)
	c.next = time.Now().Add(time.Duration(n) * time.Second / time.Duration(share))
}

// due reports whether the next Read has to wait.
func (c *pace) due() bool { return !c.next.IsZero() && time.Now().Before(c.next) }

// wait returns when the next Read is due, or the turn has ended.
func (c *pace) wait(ctx context.Context) {
	timer := time.NewTimer(time.Until(c.next))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
