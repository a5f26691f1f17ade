package streamflow

import (
	"context"
	"io"

	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

// puts reports whether all there is of a source fits one unit of a destination
// that takes it in one step. Nothing of it is to be resumed, so the journal needn't
// know.
func (m *Manager) puts(src *Source) bool {
	limits := m.dst.Limits()
	_, ok := m.dst.(store.Putter)
	return ok && len(m.opts.Encoders) == 0 && src.file != nil && src.Size() <= max(m.opts.ChunkBytes, limits.MinUnitBytes)
}

// whole reports whether the object is one unit, whose length is known, and nothing
// of it is at a destination that takes it in one step.
func (u *Upload) whole() bool {
	if _, ok := u.m.dst.(store.Putter); !ok || u.dest != nil || u.previous != nil {
		return false
	}
	if s := u.stream; s != nil {
		return s.base == 0 && len(s.held) == 1 && s.length() != store.UnknownLength
	}
	return u.object.length <= u.unitBytes
}

// put uploads the object in one step. Its sum goes ahead, or what a file was encoded
// to is there already, so what becomes an object is what was there when the file was
// last found unchanged.
func (u *Upload) put(ctx context.Context) error {
	if u.putID == "" {
		u.putID = uploadid.New()
	}
	spec := u.spec()
	spec.ID = u.putID
	if u.stream != nil {
		if err := u.src.check(); err != nil {
			return err
		}
		return u.putUnit(ctx, spec, u.stream.held[0])
	}
	if err := u.admit(ctx); err != nil {
		return err
	}
	defer u.admission.release()
	sum, err := u.sum(ctx)
	if err != nil {
		return err
	}
	if err := u.src.check(); err != nil {
		return err
	}
	r := u.reader(0, spec.Length)
	r.hash = false
	err = u.putFrom(ctx, spec, r, sum)
	if r.err != nil {
		return r.err
	}
	return err
}

func (u *Upload) putUnit(ctx context.Context, spec store.Spec, n *unit) error {
	u.began()
	sum := store.Sum{CRC32C: n.sum, Known: !u.m.opts.DisableChecksum}
	err := u.putFrom(ctx, spec, u.held(ctx, n, 0, len(n.p)), sum)
	if err == nil {
		u.stream.drop(n)
		u.stream.sweep()
	}
	return err
}

func (u *Upload) putFrom(ctx context.Context, spec store.Spec, r io.Reader, sum store.Sum) (err error) {
	u.counters.bytes.Store(0)
	if u.finished, err = u.m.dst.(store.Putter).Put(ctx, spec, u.limited(ctx, r), sum); err != nil {
		u.counters.bytes.Store(0) // none of it is there
		return err
	}
	u.acknowledge(spec.Length)
	u.finished.Sum = sum
	return nil
}
