package main

import (
	"io"
	"sync"
)

// A console is standard error, shared by logs, errors and progress bars.
type console struct {
	w io.Writer

	mu   sync.Mutex
	bars io.Writer // writes above the bars, while there are any
}

// above has what is written from now on appear above the bars that w draws. A
// nil w: there are no bars any more.
func (c *console) above(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bars = w
}

func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bars != nil {
		return c.bars.Write(p)
	}
	return c.w.Write(p)
}
