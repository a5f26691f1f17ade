package streamflow

import (
	"time"

	"github.com/streamflow/streamflow/store"
)

// Status is where an upload stands.
type Status int

const (
	Waiting   Status = iota // for room in the budget, or for its first attempt
	Uploading               // under way, or between two attempts
	Paused                  // until Resume
	Finished                // the object is there
	Failed                  // ended by an error, a context or Close
	Aborted                 // discarded
)

func (s Status) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Uploading:
		return "uploading"
	case Paused:
		return "paused"
	case Finished:
		return "finished"
	case Failed:
		return "failed"
	case Aborted:
		return "aborted"
	}
	return "unknown"
}

// ended reports whether nothing follows this status. Abort may still turn
// failed into aborted.
func (s Status) ended() bool { return s >= Finished }

// A State is a snapshot of an upload.
type State struct {
	Status  Status
	Bytes   int64 // handed to the destination, not necessarily acknowledged yet
	Total   int64 // or -1 while unknown
	Resumed int64 // bytes that were there when the upload began
	Retries int   // failed attempts that were repeated
	// Encoded: what is sent isn't the source as it is, so no later upload can go
	// on with it.
	Encoded bool
	// Discarded: it failed, and what had arrived is gone from the destination, as
	// nothing could go on with it.
	Discarded bool
	// Err is why the upload ended, or what the last failed attempt died of.
	Err error
}

// A Result describes a finished upload.
type Result struct {
	ID           string // at the destination
	Location     string // where the object is found: a path or URL
	Bytes        int64  // its length
	ResumedBytes int64  // of them, sent by an earlier process
	SavedBytes   int64  // that compression kept off the network, in what this process sent
	Retries      int
	Sum          store.Sum
	Duration     time.Duration
	// RestartReason says why an unfinished upload was not resumed, or "".
	RestartReason string
	// Identical: the same was there already, and nothing was sent.
	Identical bool
}
