package memory

import (
	"sync/atomic"
	"time"
)

// clockTick is how exact creation times are.
const clockTick = 100 * time.Millisecond

// A coarseClock tells the time without asking the system. The janitor sets it.
type coarseClock struct {
	start time.Time
	nanos atomic.Int64 // since start, not set back when the system's clock is
}

func (c *coarseClock) begin()                   { c.start = time.Now() }
func (c *coarseClock) set(now time.Time)        { c.nanos.Store(int64(now.Sub(c.start))) }
func (c *coarseClock) now() int64               { return c.nanos.Load() }
func (c *coarseClock) at(nanos int64) time.Time { return c.start.Add(time.Duration(nanos)) }
func (c *coarseClock) time() time.Time          { return c.at(c.now()) }
