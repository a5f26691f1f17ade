package filestore_test

import (
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// Files that a store keeps open between two changes are those of whoever changes
// them meanwhile.
func TestKeptFilesAreNotOurs(t *testing.T) {
	data := randomBytes(4000)
	byID := &filestore.Options{ByID: true}
	for name, c := range map[string]struct {
		opts   *filestore.Options
		change func(t *testing.T, other store.Upload)
		want   int64 // offset
		gone   bool
	}{
		"nothing": {change: func(*testing.T, store.Upload) {}, want: 1000},
		"written on": {
			change: func(t *testing.T, other store.Upload) { write(t, other, 1000, data[1000:3000]) }, want: 3000,
		},
		"its log written anew": {
			change: func(t *testing.T, other store.Upload) {
				for off := int64(1000); off < 3000; off++ {
					write(t, other, off, data[off:off+1])
				}
			}, want: 3000,
		},
		"discarded": {
			change: func(t *testing.T, other store.Upload) {
				if err := other.Abort(t.Context()); err != nil {
					t.Fatal(err)
				}
			}, gone: true,
		},
		"finished by name": {
			change: func(t *testing.T, other store.Upload) {
				write(t, other, 1000, data[1000:])
				finish(t, other, data)
			}, gone: true,
		},
		"finished by id": {
			opts: byID,
			change: func(t *testing.T, other store.Upload) {
				write(t, other, 1000, data[1000:])
				finish(t, other, data)
			}, want: 4000,
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, mem := t.TempDir(), newMemory(t, 1<<20)
			u := create(t, openStore(t, dir, mem, c.opts), store.Spec{Name: "f", Length: 4000})
			write(t, u, 0, data[:1000])
			c.change(t, open(t, openStore(t, dir, mem, c.opts), infoOf(t, u).ID))
			if c.gone {
				_, err := u.Info(t.Context())
				wantError(t, err, store.ErrNotFound, "")
				_, err = u.Finish(t.Context(), store.Sum{})
				wantError(t, err, store.ErrNotFound, "")
				return
			}
			if got := infoOf(t, u).Offset; got != c.want {
				t.Fatalf("offset is %d, want %d", got, c.want)
			}
			if c.want < 4000 {
				write(t, u, c.want, data[c.want:])
			}
			finish(t, u, data)
		})
	}
}
