package streamflow

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/streamflow/streamflow/store"
)

// writeFile sends what is missing of a file to an ordered store: in one Write,
// unless the store bounds it.
func (u *Upload) writeFile(ctx context.Context, info store.Info) error {
	size, off := u.object.length, info.Offset
	if off == size {
		return nil
	}
	if err := u.admit(ctx); err != nil {
		return err
	}
	defer u.admission.release()
	sum, err := u.sumOf(ctx, off)
	if err != nil {
		return err
	}
	most := u.m.dst.Limits().MaxUnitBytes
	if most == 0 {
		most = size
	}
	for off < size {
		r := u.reader(off, min(off+most, size))
		r.sum = sum
		if r.hash {
			r.pace = &pace{to: u.checkpoints, last: off, at: time.Now()}
		}
		n, err := u.writeSection(ctx, r)
		off += n
		u.acknowledge(off)
		if err != nil {
			return err
		}
		sum = r.sum
	}
	return nil
}

func (u *Upload) reader(off, end int64) *fileReader {
	return &fileReader{
		src: u.src, counters: &u.counters, off: off, end: end, hash: !u.m.opts.DisableChecksum,
	}
}

// writeSection is one Write of what r reads. The source's own trouble comes
// before what a store makes of it.
func (u *Upload) writeSection(ctx context.Context, r *fileReader) (int64, error) {
	off, size := r.off, r.end-r.off
	n, err := u.dest.Write(ctx, off, u.limited(ctx, r), size)
	if r.hash && r.pace != nil {
		u.checkpoints.add(r.off, r.sum)
	}
	if r.err != nil {
		return n, r.err
	}
	return n, short(err, n, size)
}

// short turns a Write that took less without saying why into an error worth a
// retry.
func short(err error, n, size int64) error {
	if err == nil && n != size {
		return store.Transient(fmt.Errorf("%w: %d of %d bytes", io.ErrShortWrite, n, size))
	}
	return err
}

// writeStream sends a stream to an ordered store, unit by unit, while the next
// ones are read. Of a unit that was acknowledged in part, only the rest is sent
// again.
func (u *Upload) writeStream(ctx context.Context, info store.Info) error {
	s, off, declared := u.stream, info.Offset, info.Length != store.UnknownLength
	if off < s.base {
		return s.lost(off)
	}
	for s.finished == nil {
		n, err := s.head(ctx)
		if err != nil {
			return err
		}
		u.began()
		if n.last && !declared {
			if err := u.dest.SetLength(ctx, n.end()); err != nil {
				return err
			}
			declared = true
		}
		if off < n.end() {
			wrote, err := u.writeRest(ctx, n, off)
			off += wrote
			u.acknowledge(off)
			if err != nil {
				return err
			}
		}
		s.drop(n)
		s.sweep()
	}
	return nil
}

// writeRest sends what a unit has from off on.
func (u *Upload) writeRest(ctx context.Context, n *unit, off int64) (int64, error) {
	size := n.end() - off
	wrote, err := u.dest.Write(ctx, off, u.limited(ctx, u.held(ctx, n, int(off-n.off), len(n.p))), size)
	return wrote, short(err, wrote, size)
}
