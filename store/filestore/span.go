package filestore

import (
	"slices"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// A span is bytes that are in the file, with their sum where it is known.
type span struct {
	start, end int64
	sum        store.Sum
}

// spans are sorted and don't overlap. Neighbours with known sums stay apart
// while they are recent, so that rewriting a unit, as retries do, costs only
// that unit's sum and not the sum of all before it.
type spans []span

const (
	// maxSpans is when neighbours are merged, all but the last recentSpans.
	maxSpans    = 64
	recentSpans = 32
	// maxGaps bounds the memory of an upload written in a scattered way.
	maxGaps = 4096
)

// add puts n in, over whatever was there. What it cuts off an older span loses
// its sum: a sum can't be split without the bytes.
func (s spans) add(n span) spans {
	i := s.search(n.start)
	var between [3]span
	keep := between[:0]
	j := i
	for ; j < len(s) && s[j].start < n.end; j++ {
		if s[j].start < n.start {
			keep = append(keep, span{start: s[j].start, end: n.start})
		}
	}
	keep = append(keep, n)
	if j > i && s[j-1].end > n.end {
		keep = append(keep, span{start: n.end, end: s[j-1].end})
	}
	s = slices.Replace(s, i, j, keep...)
	if len(s) > maxSpans && len(s)%recentSpans == 0 {
		s = s.merge(len(s) - recentSpans)
	}
	return s
}

// search returns the index of the first span that ends after off.
func (s spans) search(off int64) int {
	i, _ := slices.BinarySearchFunc(s, off, func(a span, off int64) int {
		if a.end > off {
			return 1
		}
		return -1
	})
	return i
}

// merge joins neighbours among the first n spans, where both sums are known or
// neither is.
func (s spans) merge(n int) spans {
	out := s[:0]
	for i, next := range s {
		last := len(out) - 1
		if i == 0 || i >= n || out[last].end != next.start || out[last].sum.Known != next.sum.Known {
			out = append(out, next)
			continue
		}
		out[last] = span{start: out[last].start, end: next.end, sum: join(out[last].sum, next)}
	}
	return out
}

// join returns the sum of what a stands for followed by next.
func join(a store.Sum, next span) store.Sum {
	if !a.Known || !next.sum.Known {
		return store.Sum{}
	}
	return store.Sum{CRC32C: checksum.Combine(a.CRC32C, next.sum.CRC32C, next.end-next.start), Known: true}
}

// forget drops the sums of the spans that overlap n.
func (s spans) forget(n span) {
	for i := s.search(n.start); i < len(s) && s[i].start < n.end; i++ {
		s[i].sum = store.Sum{}
	}
}

// overlap says whether bytes in n are there.
func (s spans) overlap(n span) bool {
	i := s.search(n.start)
	return i < len(s) && s[i].start < n.end
}

// summed says whether bytes in n have a known sum.
func (s spans) summed(n span) bool {
	for i := s.search(n.start); i < len(s) && s[i].start < n.end; i++ {
		if s[i].sum.Known {
			return true
		}
	}
	return false
}

// clip drops what lies at size and after it.
func (s spans) clip(size int64) spans {
	for len(s) > 0 && s[len(s)-1].end > size {
		last := s[len(s)-1]
		s = s[:len(s)-1]
		if last.start < size {
			s = append(s, span{start: last.start, end: size})
		}
	}
	return s
}

// end is the end of the last span.
func (s spans) end() int64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].end
}

// prefix returns how many bytes are there from 0 without a gap, and their sum.
func (s spans) prefix() (int64, store.Sum) {
	off, sum := int64(0), store.Sum{Known: true}
	for _, next := range s {
		if next.start != off {
			break
		}
		off, sum = next.end, join(sum, next)
	}
	return off, sum
}

// ranges returns the spans with neighbours joined.
func (s spans) ranges() []store.Range {
	var out []store.Range
	for _, next := range s {
		if n := len(out); n > 0 && out[n-1].End == next.start {
			out[n-1].End = next.end
			continue
		}
		out = append(out, store.Range{Start: next.start, End: next.end})
	}
	return out
}
