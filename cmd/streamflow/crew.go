package main

import (
	"sync"
	"time"

	"github.com/streamflow/streamflow/internal/bytesize"
)

// What of the budget there is for each file that is on its way: a small one takes
// less, and larger ones take turns at what there is.
const (
	fileBytes    = 512 * bytesize.KiB
	fileBytesFar = 448 * bytesize.KiB // where answers take long, and little is done meanwhile
)

// A crew says how many files are on their way at once. It begins with what keeps this
// machine and a near server busy. As long as files take hardly longer than the fastest
// one did, nothing is queued anywhere: then what takes the time is the way to the
// server, and more at once get more done.
//
// It is safe for concurrent use.
type crew struct {
	least, most int

	mu       sync.Mutex
	begun    int // workers
	finished int // files
	fastest  time.Duration
	usual    time.Duration // the mean of the last, more or less
}

// newCrew returns a crew of n, or where that is 0 of as many as a budget of so many
// bytes has room for.
func newCrew(n count, budget int64) *crew {
	if n > 0 {
		return &crew{least: int(n), most: int(n)}
	}
	least := min(max(budget/int64(fileBytes), 4), 96)
	return &crew{least: int(least), most: int(max(least, min(budget/int64(fileBytesFar), 256)))}
}

// grow reports whether one more is to begin, and counts it.
func (c *crew) grow() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun >= c.least && (c.begun >= c.most || !c.waits()) {
		return false
	}
	c.begun++
	return true
}

// waits reports whether those who have begun spend their time waiting for answers. The
// first files say nothing: connections are made for them. It is called with mu held.
func (c *crew) waits() bool {
	return c.finished >= 2*c.begun && c.usual < 2*c.fastest
}

// note tells of a file how long it took.
func (c *crew) note(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finished++
	if c.finished == 1 || took < c.fastest {
		c.fastest = took
	}
	const weight = 16
	c.usual += (took - c.usual) / weight
}
