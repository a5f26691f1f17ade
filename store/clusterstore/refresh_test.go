package clusterstore_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
)

// TestSlowBody: another node sees of an upload that it goes on, also while nothing of
// what comes can be acknowledged yet.
func TestSlowBody(t *testing.T) {
	const length = 6 * mib
	for name, c := range map[string]struct {
		size     int64
		verified bool
	}{
		"in a part":    {length, false},
		"held":         {store.UnknownLength, false},
		"not verified": {length, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2)
			f.nodes[0].SetRefreshInterval(1)
			data := random(length)
			u, info := f.begin(0, length)
			var begun time.Time
			body := io.MultiReader(
				bytes.NewReader(data[:mib]),
				waiting(func() { begun = time.Now() }),
				bytes.NewReader(data[mib:2*mib]),
				waiting(func() { f.goesOn(info.ID, begun) }),
				bytes.NewReader(data[2*mib:]))
			var n int64
			var err error
			if c.verified {
				n, err = u.(store.Verifier).WriteVerified(t.Context(), 0, body, c.size, func() error { return nil })
			} else {
				n, err = u.Write(t.Context(), 0, body, c.size)
			}
			check(t, err)
			if n != length {
				t.Errorf("%d bytes are acknowledged", n)
			}
			f.only(f.finish(u, data))
		})
	}
}

// goesOn: by what node 1 sees, bytes of the upload came since a time, and none of them
// is acknowledged.
func (f *fleet) goesOn(id string, since time.Time) {
	f.Helper()
	info, err := f.nodes[1].Stat(f.Context(), id)
	check(f.T, err)
	if info.ModifiedAt.Before(since) || info.Offset != 0 {
		f.Errorf("the upload stands at %d since %v before", info.Offset, since.Sub(info.ModifiedAt))
	}
	for old, err := range f.nodes[1].Unfinished(f.Context(), since.Truncate(time.Second)) {
		check(f.T, err)
		f.Errorf("%s is among those that are old", old.ID)
	}
}

// TestSlowBodyTakenOver: it ends before it has come to its end.
func TestSlowBodyTakenOver(t *testing.T) {
	f := newFleet(t, 2)
	f.nodes[0].SetRefreshInterval(1)
	u, info := f.begin(0, 6*mib)
	body := io.MultiReader(io.LimitReader(zeros{}, mib), waiting(func() { f.take(1, info.ID) }), io.LimitReader(zeros{}, mib),
		waiting(func() { t.Error("the body is read to its end") }))
	_, err := u.Write(t.Context(), 0, body, 6*mib)
	wants(t, err, store.ErrSuperseded)
	taken, _ := f.take(1, info.ID)
	check(t, taken.Abort(t.Context()))
	f.only()
}

// TestSlowBodyIsNoOrphan: what no state names yet isn't removed while bytes come.
func TestSlowBodyIsNoOrphan(t *testing.T) {
	f := newFleet(t, 2)
	f.nodes[0].SetRefreshInterval(1)
	data := random(6 * mib)
	u, _ := f.begin(0, 6*mib)
	var old time.Time
	body := io.MultiReader(
		bytes.NewReader(data[:mib]),
		waiting(func() { old = time.Now() }),
		bytes.NewReader(data[mib:2*mib]),
		waiting(func() {
			if n, err := f.nodes[1].RemoveOrphans(t.Context(), old); n != 0 || err != nil {
				t.Errorf("removed %d, %v", n, err)
			}
		}),
		bytes.NewReader(data[2*mib:]))
	n, err := u.Write(t.Context(), 0, body, 6*mib)
	check(t, err)
	if n != 6*mib {
		t.Errorf("%d bytes are acknowledged", n)
	}
	f.only(f.finish(u, data))
}

// TestSlowBodyWithoutMemory: what can't be said now is no reason to end it.
func TestSlowBodyWithoutMemory(t *testing.T) {
	f := newFleet(t, 1)
	f.nodes[0].SetRefreshInterval(1)
	data := random(6 * mib)
	u, _ := f.begin(0, 6*mib)
	var release func()
	body := io.MultiReader(bytes.NewReader(data[:mib]), waiting(func() { release = storetest.Crowd(t, f.mem) }), bytes.NewReader(data[mib:5*mib]),
		waiting(func() { release() }), bytes.NewReader(data[5*mib:]))
	n, err := u.Write(t.Context(), 0, body, 6*mib)
	check(t, err)
	if n != 6*mib {
		t.Errorf("%d bytes are acknowledged", n)
	}
	f.only(f.finish(u, data))
}
