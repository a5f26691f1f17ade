package s3store

import (
	"time"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

// coverage is which bytes the parts are, found by rising number.
type coverage struct {
	prefix  int64 // bytes without a gap from the start
	sum     store.Sum
	written []store.Range // behind the first gap
	end     int64
	last    time.Time
}

// add counts a part if it has the size of its number: a part of another size is
// of an upload that went on with other units, or was cut off.
func (c *coverage) add(p bucket.Part, l layout, length int64) {
	start, size := l.at(int64(p.Number))
	c.addRange(p, start, size, length)
}

// addRange counts a part that begins at start, and has size bytes unless it is
// the last.
func (c *coverage) addRange(p bucket.Part, start, size, length int64) {
	if p.Modified.After(c.last) {
		c.last = p.Modified
	}
	end := start + p.Size
	whole := p.Size == size || (p.Size < size && (end == length || length == store.UnknownLength))
	if !whole || (length != store.UnknownLength && end > length) || p.Size == 0 {
		return
	}
	if c.end == 0 {
		c.sum.Known = true
	}
	c.end = end
	switch n := len(c.written); {
	case start == c.prefix:
		c.sum = bucket.AppendSum(c.sum, p.Sum, p.Size)
		c.prefix = end
	case n > 0 && c.written[n-1].End == start:
		c.written[n-1].End = end
	default:
		c.written = append(c.written, store.Range{Start: start, End: end})
	}
}

// ranges are those of store.Info.
func (c *coverage) ranges() []store.Range {
	if len(c.written) == 0 || c.prefix == 0 {
		return c.written
	}
	return append([]store.Range{{End: c.prefix}}, c.written...)
}
