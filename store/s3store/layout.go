package s3store

import "github.com/streamflow/streamflow/internal/bucket"

// A layout says which bytes a part of the upload is.
//
// Of an upload whose length is known a part is a unit. One of unknown length
// can outgrow that, as units can't grow once the first was written: so only the
// first half of its part numbers are units, and each of the others is a piece,
// an object of as many units as one part can be.
type layout struct {
	unit   int64
	direct int64 // parts that are units
	units  int64 // of a piece
	parts  int64 // at most
}

func (u *Upload) layout() layout { return u.store.layout(u.address) }

func (s *Store) layout(a address) layout {
	l := layout{unit: a.Unit, direct: int64(s.opts.MaxParts), parts: int64(s.opts.MaxParts)}
	if a.Length < 0 && a.Unit > 0 && !s.opts.EqualParts {
		l.direct /= 2
		l.units = min(l.parts, bucket.MaxPartBytes/a.Unit)
	}
	return l
}

// at returns where a part begins, and its size if nothing is missing of it.
func (l layout) at(number int64) (start, size int64) {
	if number <= l.direct || l.units == 0 {
		return (number - 1) * l.unit, l.unit
	}
	size = l.units * l.unit
	return l.direct*l.unit + (number-l.direct-1)*size, size
}

// pieceOf returns the piece that the unit at off belongs to, counted from 0, and
// the number of its part there; or false if it is a part of the upload itself.
func (l layout) pieceOf(off int64) (piece, number int64, ok bool) {
	unit := off/l.unit - l.direct
	if unit < 0 || l.units == 0 {
		return 0, 0, false
	}
	return unit / l.units, unit%l.units + 1, true
}

// length is the most that fits.
func (l layout) length() int64 {
	start, size := l.at(l.parts)
	return start + size
}
