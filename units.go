package streamflow

import (
	"fmt"
	"iter"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	// unitAlign keeps units that were grown to odd sizes on page boundaries.
	unitAlign = 64 << 10
	// A file is cut into wantedUnits, as far as their size stays below
	// maxGrownBytes, where a store takes none as small as was asked for.
	wantedUnits   = 64
	maxGrownBytes = 16 << 20
	// minNarrowBytes is how small memory pressure makes a unit.
	minNarrowBytes = 64 << 10
)

// unitBytes returns the size of a unit: chunk, as far as the store takes it,
// grown so that length bytes need no more units than it takes.
func unitBytes(l store.Limits, chunk, length int64) (int64, error) {
	if l.MaxLength > 0 && length > l.MaxLength {
		return 0, fmt.Errorf("%w: %d bytes, %d at most", store.ErrTooLarge, length, l.MaxLength)
	}
	unit := max(chunk, l.MinUnitBytes)
	if l.MaxUnitBytes > 0 {
		unit = min(unit, l.MaxUnitBytes)
	}
	if most := int64(l.MaxUnits); most > 0 && length > 0 && (length-1)/unit >= most {
		unit = (length-1)/most + 1
		if aligned := (unit + unitAlign - 1) / unitAlign * unitAlign; l.MaxUnitBytes == 0 || aligned <= l.MaxUnitBytes {
			unit = aligned
		}
	}
	if l.MaxUnitBytes > 0 && unit > l.MaxUnitBytes {
		return 0, fmt.Errorf("%w: %d bytes in %d units of at most %d", store.ErrTooLarge, length, l.MaxUnits, l.MaxUnitBytes)
	}
	return unit, nil
}

// fileChunk returns the size of a file's chunks where chunk was asked for. Nothing
// of a file is held, so where the store wants larger ones anyway they grow with the
// file: that makes fewer requests, and what a broken connection costs stays small
// beside the file.
func fileChunk(l store.Limits, chunk, length int64) int64 {
	if chunk >= l.MinUnitBytes {
		return chunk
	}
	grown := (length/wantedUnits + unitAlign - 1) / unitAlign * unitAlign
	return max(min(grown, maxGrownBytes), l.MinUnitBytes)
}

// units yields the units of length bytes in order.
func units(length, unit int64) iter.Seq[store.Range] {
	return func(yield func(store.Range) bool) {
		for off := int64(0); off < length; off += unit {
			if !yield(store.Range{Start: off, End: min(off+unit, length)}) {
				return
			}
		}
	}
}

// present reports whether all of r is at the destination.
func present(info store.Info, r store.Range) bool {
	if r.End <= info.Offset {
		return true
	}
	for _, w := range info.Written {
		if w.Start <= r.Start && r.End <= w.End {
			return true
		}
	}
	return false
}

// presentBytes is how much of length bytes needn't be sent to an unordered
// store: units are sent whole, so one that is there in part counts for nothing.
func presentBytes(info store.Info, length, unit int64) int64 {
	var n int64
	for r := range units(length, unit) {
		if present(info, r) {
			n += r.End - r.Start
		}
	}
	return n
}

// narrowed returns the size of the next unit after one of size: half of it at a
// raised level, twice at the normal one, from least to chunk.
func narrowed(size int64, level memory.Level, least, chunk int64) int64 {
	if level == memory.Normal {
		return min(size*2, chunk)
	}
	return min(max(size/2, least), chunk)
}
