package streamflow

import (
	"time"

	"github.com/streamflow/streamflow/memory"
)

// An Event is a [Progress], [Performance], [StateChange] or [Memory].
type Event interface{ event() }

// Progress of one upload, about ten times a second while it moves.
type Progress struct {
	Upload        *Upload
	Percentage    float64       // 0 to 100, or -1 where the length is unknown
	BytesUploaded int64         // handed to the destination
	TotalBytes    int64         // or -1 where unknown
	Speed         float64       // bytes per second, smoothed
	Remaining     time.Duration // or -1 where unknown
}

// Performance of one upload, once a second and at its end.
type Performance struct {
	Upload      *Upload
	Speed       float64 // bytes per second, smoothed
	MemoryBytes int64   // of the whole budget in use
	// ProcessingTime was spent reading and checksumming since the last such event.
	ProcessingTime time.Duration
	// SavedBytes is what compression kept off the network, in this upload so far.
	SavedBytes int64
}

// Memory passes on an event of the budget: memory.LevelChange or memory.Leak.
type Memory struct{ memory.Event }

// A StateChange says where an upload stands now: in another status, or with one
// more failed attempt behind it. Changes that follow each other faster than the
// subscriber reads are merged into the last one.
type StateChange struct {
	Upload *Upload
	State  State
	// Count numbers the state changes of all uploads of the Manager. A gap is
	// the number of those merged or dropped.
	Count uint64
}

func (Progress) event()    {}
func (Performance) event() {}
func (Memory) event()      {}
func (StateChange) event() {}
