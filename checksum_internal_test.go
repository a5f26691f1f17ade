package streamflow

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/streamflow/streamflow/internal/journal"
)

func TestCheckpoints(t *testing.T) {
	c := newCheckpoints(nil)
	if got := c.before(100); got != (journal.Checkpoint{}) {
		t.Errorf("of none: %+v", got)
	}
	for off := int64(0); off <= 40; off++ {
		c.add(10*off, uint32(off))
		c.add(5*off, 99) // behind the last: nothing new
	}
	points := c.all()
	if len(points) != maxCheckpoints || points[0].Offset != 90 || points[maxCheckpoints-1] != (journal.Checkpoint{Offset: 400, CRC32C: 40}) {
		t.Errorf("kept %+v", points)
	}
	for off, want := range map[int64]int64{89: 0, 90: 90, 155: 150, 1000: 400} {
		if got := c.before(off).Offset; got != want {
			t.Errorf("before %d: %d, not %d", off, got, want)
		}
	}
}

func TestPace(t *testing.T) {
	c := newCheckpoints(nil)
	now := time.Unix(0, 0)
	p := pace{to: c, at: now}
	for _, step := range []struct {
		off   int64
		after time.Duration
		want  int // checkpoints so far
	}{
		{1, 0, 0},
		{checkpointBytes - 1, 0, 0},
		{checkpointBytes, 0, 1},
		{checkpointBytes + 5, checkpointEvery - 1, 1},
		{checkpointBytes + 6, checkpointEvery, 2},
		{2*checkpointBytes + 5, checkpointEvery, 2},
		{2*checkpointBytes + 6, checkpointEvery, 3},
	} {
		p.passed(now.Add(step.after), step.off, 0)
		if got := len(c.all()); got != step.want {
			t.Errorf("at %d after %v: %d checkpoints, not %d", step.off, step.after, got, step.want)
		}
	}
}

func TestPartsInAnyOrder(t *testing.T) {
	const unit = 1000
	p := make([]byte, 10*unit+1)
	for i := range p {
		p[i] = byte(rand.Uint32())
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	for range 20 {
		parts := newParts(journal.Checkpoint{Offset: unit, CRC32C: crc32.Checksum(p[:unit], table)}, newCheckpoints(nil))
		for _, i := range rand.Perm(11) {
			off := i * unit
			q := p[off:min(off+unit, len(p))]
			parts.add(int64(off), part{length: int64(len(q)), sum: crc32.Checksum(q, table)})
			if !parts.has(int64(off)) {
				t.Fatalf("unit %d isn't known", i)
			}
		}
		if parts.next != int64(len(p)) || parts.sum != crc32.Checksum(p, table) || len(parts.done) != 0 {
			t.Fatalf("got %d, %08x", parts.next, parts.sum)
		}
	}
}
