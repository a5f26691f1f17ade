package memory

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// What callers branch on.
var (
	// ErrLimit is behind every *LimitError.
	ErrLimit = errors.New("does not fit the memory limit")
	// ErrFull: there is no room now, though there may be later.
	ErrFull = errors.New("no room in the memory budget now")
	// ErrClosed: the manager was closed before or while waiting.
	ErrClosed = errors.New("memory manager is closed")
	// ErrReleased: the resource was released before.
	ErrReleased = errors.New("already released")
	// ErrUnknown: the manager never handed out this resource.
	ErrUnknown = errors.New("unknown resource")
	// ErrInvalid: an option or a size that makes no sense.
	ErrInvalid = errors.New("invalid")
)

// A LimitError says that a request can never fit, however long it waits.
type LimitError struct {
	Manager   string // name of the manager whose limit is too small
	Limit     int64  // its limit in bytes
	Requested int64  // bytes asked for
	InUse     int64  // bytes in use at that manager
	Needed    int64  // the smallest Limit that would do
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("memory: %d bytes can never fit the limit of %d bytes of manager %q (%d in use): the smallest limit that would do is %d",
		e.Requested, e.Limit, e.Manager, e.InUse, e.Needed)
}

// Is reports whether target is ErrLimit.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }

// A HeldError says what was still held when a manager was closed.
type HeldError struct {
	Manager string
	Kinds   map[Kind]KindStats
}

func (e *HeldError) Error() string {
	kinds := make([]string, 0, len(e.Kinds))
	for kind, held := range e.Kinds {
		kinds = append(kinds, fmt.Sprintf("%d %q of %d bytes", held.Active, kind, held.Bytes))
	}
	sort.Strings(kinds)
	return fmt.Sprintf("memory: manager %q was closed with resources still held: %s", e.Manager, strings.Join(kinds, ", "))
}
