package hook

import (
	"iter"
	"slices"
	"sync/atomic"
)

// A Result is how a call ended.
type Result string

// The results.
const (
	Done    Result = "done"
	Refused Result = "refused"
	Failed  Result = "failed"  // and is tried again, where the event is recorded
	GaveUp  Result = "gave_up" // was set aside
	Dropped Result = "dropped" // PostReceive only: there were too many
)

func results() []Result { return []Result{Done, Refused, Failed, GaveUp, Dropped} }

// counts are the calls by event and result.
type counts struct{ n [6][5]atomic.Uint64 }

func (c *counts) add(e Event, r Result, n uint64) {
	c.n[slices.Index(Events(), e)][slices.Index(results(), r)].Add(n)
}

// Calls yields how many calls of each event ended how, those that never
// happened left out.
func (h *Hooks) Calls() iter.Seq2[Call, uint64] {
	return func(yield func(Call, uint64) bool) {
		for i, e := range Events() {
			for j, r := range results() {
				if n := h.counts.n[i][j].Load(); n > 0 && !yield(Call{e, r}, n) {
					return
				}
			}
		}
	}
}

// A Call is an event and how telling it ended.
type Call struct {
	Event  Event
	Result Result
}
