package clusterstore_test

import (
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/store"
)

// delayed has something happen before the first request of a kind goes out.
type delayed struct {
	next http.RoundTripper
	kind string // see kindOf
	once sync.Once
	do   func()
}

func (d *delayed) RoundTrip(r *http.Request) (*http.Response, error) {
	if kindOf(r) == d.kind {
		d.once.Do(d.do)
	}
	return d.next.RoundTrip(r)
}

func (f *fleet) beginAs(node int, id string, length int64) store.Upload {
	f.Helper()
	u, _, err := f.nodes[node].Create(f.Context(), store.Spec{ID: id, Length: length})
	check(f.T, err)
	return u
}

// TestChosenTwice: two nodes begin an upload of one id, and before the second has, the
// first has finished it.
func TestChosenTwice(t *testing.T) {
	f := newFleet(t, 1)
	id := uploadid.New()
	var done store.Info
	slow := openOver(t, f.gateway, f.bucket, f.mem, &delayed{next: newTransport(t, f.mem), kind: "PUT state", do: func() {
		u := f.beginAs(0, id, 5)
		f.write(u, 0, []byte("first"))
		done = f.finish(u, []byte("first"))
	}})
	_, _, err := slow.Create(t.Context(), store.Spec{ID: id, Length: 6})
	wants(t, err, store.ErrTaken)
	f.only(done)
}

// TestFinishOverAnother: what another upload of the same id has become isn't taken for
// one's own.
func TestFinishOverAnother(t *testing.T) {
	for name, c := range map[string]struct{ there, gone string }{
		"its object":              {"", ".streamflow/finished"},
		"what says that it ended": {".streamflow/finished", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 1)
			id, dir := uploadid.New(), filepath.Join(f.gateway.Dir, f.bucket, prefix)
			first := f.beginAs(0, id, 5)
			f.write(first, 0, []byte("first"))
			f.finish(first, []byte("first"))
			there, aside := filepath.Join(dir, c.there, id), filepath.Join(f.gateway.Dir, id)
			check(t, os.Rename(there, aside))
			check(t, os.Remove(filepath.Join(dir, c.gone, id)))
			second := f.beginAs(0, id, 5)
			f.write(second, 0, []byte("other"))
			check(t, os.Rename(aside, there))
			_, err := second.Finish(t.Context(), store.Sum{})
			wants(t, err, store.ErrExists)
		})
	}
}
