// Package machine asks the container or the machine how much memory there is.
//
// Use it to choose a budget as a share of what may be used at all. It reads
// control groups of versions 1 and 2, each with the limits of its parents. Its
// functions keep no state and may be called from anywhere.
package machine

import (
	"errors"
	"fmt"
	"math"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// An Origin is what sets a limit.
type Origin string

// What Limit tells apart.
const (
	Container Origin = "container" // a control group
	Machine   Origin = "machine"   // the memory that is built in
)

// Limit returns how many bytes of memory may be used, and what sets that: the
// container where it has a limit below the machine's memory, else the machine.
//
// It fails where a container can't be told from none, rather than promise
// memory that isn't there.
func Limit() (int64, Origin, error) {
	total, err := memlimit.FromSystem()
	if err != nil {
		return 0, "", fmt.Errorf("read the machine's memory: %w", err)
	}
	limit, err := memlimit.FromCgroup()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup),
		errors.Is(err, memlimit.ErrCgroupsNotSupported):
		limit = math.MaxUint64
	case err != nil:
		return 0, "", fmt.Errorf("read the container's memory limit: %w", err)
	}
	if limit < total {
		return int64(limit), Container, nil
	}
	return int64(min(total, math.MaxInt64)), Machine, nil
}
