package streamflow

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// counters of one upload, written at every read.
type counters struct {
	bytes      atomic.Int64 // handed to the destination
	processing atomic.Int64 // nanoseconds of reading and summing
	saved      atomic.Int64 // bytes that compression kept off the network
}

// A fileReader is the bytes [off, end) of a file for one Write. It sums them on
// the way and counts them. It is used by one goroutine at a time.
type fileReader struct {
	src      *Source
	counters *counters
	off, end int64
	hash     bool
	sum      uint32 // grows from its first value
	alone    bool   // the first value is that of nothing
	pace     *pace  // where not nil, gets the sums of prefixes
	err      error  // why the source ended early, other than by the end
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.off == r.end {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.end-r.off)]
	start := time.Now()
	n, err := r.src.file.ReadAt(p, r.off)
	if r.hash {
		r.sum = checksum.Update(r.sum, p[:n])
	}
	now := time.Now()
	r.off += int64(n)
	r.counters.bytes.Add(int64(n))
	r.counters.processing.Add(int64(now.Sub(start)))
	if n < len(p) {
		r.err = r.short(err)
		return n, r.err
	}
	if r.pace != nil {
		r.pace.passed(now, r.off, r.sum)
	}
	return n, nil
}

// Sum implements store.Summer.
func (r *fileReader) Sum() store.Sum { return store.Sum{CRC32C: r.sum, Known: r.hash && r.alone} }

// short explains a read that ended before end.
func (r *fileReader) short(err error) error {
	if err == io.EOF {
		err = fmt.Errorf("%w: it ends at %d", ErrSourceChanged, r.off)
	}
	return &SourceError{Name: r.src.name, Err: err}
}

// A heldReader is what a unit has from one offset on, for one Write. While the unit is
// filled it waits for more, but ends early where that takes long.
type heldReader struct {
	ctx       context.Context // ends the waiting
	unit      *unit
	from, end int // within the unit
	pos       int
	dry       bool // the unit had no more before end
	counters  *counters
}

func (u *Upload) held(ctx context.Context, n *unit, from, end int) *heldReader {
	return &heldReader{ctx: ctx, unit: n, from: from, end: end, pos: from, counters: &u.counters}
}

// Sum implements store.Summer, for who has read all of a unit.
func (r *heldReader) Sum() store.Sum {
	sum := r.unit.own()
	sum.Known = sum.Known && r.from == 0
	return sum
}

// Next implements store.Lender.
func (r *heldReader) Next(n int) []byte {
	wanted := min(r.pos+n, r.end)
	there := min(r.unit.await(r.ctx, wanted), wanted)
	p := r.unit.room[r.pos:there:there]
	r.pos = there
	r.dry = len(p) == 0 && there < r.end
	r.counters.bytes.Add(int64(len(p)))
	return p
}

func (r *heldReader) Read(p []byte) (int, error) {
	n := copy(p, r.Next(len(p)))
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
