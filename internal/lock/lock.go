// Package lock keeps two processes from using the same files, by a locked file
// of its own beside them: a file that is replaced would take its lock along.
//
// Locks hold between processes and within one. A Lock is used by one goroutine.
package lock

// A HeldError says that another process, or another part of this one, has the
// lock.
type HeldError struct {
	// Process is its id, or empty where that isn't known.
	Process string
}

func (e *HeldError) Error() string {
	if e.Process == "" {
		return "locked by another process"
	}
	return "locked by process " + e.Process
}
