package memory

import (
	"math"
	"math/bits"
)

// Buffers come in sizes of four steps to a doubling, from 4 KiB up: 4, 5, 6, 7,
// 8, 10, 12, 14, 16 KiB and so on, so that at most a fifth of a buffer is
// unused and released ones are soon used again.
const (
	minSlotShift = 12
	minSlotBytes = 1 << minSlotShift
	stepsShift   = 2
	steps        = 1 << stepsShift
)

// sizeClass numbers the smallest class that holds n bytes, n ≥ 0.
func sizeClass(n int64) int {
	if n <= minSlotBytes {
		return 0
	}
	// The top bit of n−1 gives the doubling, the two bits below it the step.
	v := uint64(n - 1)
	top := bits.Len64(v) - 1
	step := int(v>>(top-stepsShift)) & (steps - 1)
	return (top-minSlotShift)*steps + step + 1
}

// classBytes is the size of a class. What the last one is for never fits anywhere.
func classBytes(class int) int64 {
	n := int64(steps+class&(steps-1)) << (minSlotShift - stepsShift + class>>stepsShift)
	if n < 0 {
		return math.MaxInt64
	}
	return n
}

// plus adds sizes, which are not negative, up to the largest there is.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// Cost returns what a buffer of n bytes counts against the limit.
func Cost(n int64) int64 { return classBytes(sizeClass(n)) }
