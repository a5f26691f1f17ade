package filestore_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

var synced = &filestore.Options{SyncAcks: true}

// A Write whose sync fails acknowledges nothing, and the next begins where the last one
// that didn't has ended.
func TestFailedSyncInWrite(t *testing.T) {
	u := create(t, openStore(t, t.TempDir(), newMemory(t, 1<<20), synced), store.Spec{Name: "f", Length: 5000})
	data := randomBytes(5000)
	write(t, u, 0, data[:1000])
	r := &onRead{bytes.NewReader(data[1000:2000]), func() error { return filestore.BreakPart(t.Context(), u) }}
	if n, err := u.Write(t.Context(), 1000, r, 1000); n != 0 || err == nil {
		t.Errorf("%d bytes were acknowledged, %v", n, err)
	}
	if got := infoOf(t, u).Offset; got != 1000 {
		t.Errorf("offset is %d", got)
	}
	write(t, u, 1000, data[1000:])
	finish(t, u, data)
}

// A takeover acknowledges what all Writes under way have brought, or as here nothing.
func TestFailedSyncInTakeover(t *testing.T) {
	s := openStore(t, t.TempDir(), newMemory(t, 1<<20), synced)
	u := create(t, s, store.Spec{Name: "f", Length: 5000})
	var writes sync.WaitGroup
	var ends []io.Closer
	for off := range int64(3) {
		r, w := io.Pipe()
		writes.Go(func() {
			if n, err := u.Write(t.Context(), 1000*off, r, 1000); n != 0 || !errors.Is(err, store.ErrSuperseded) {
				t.Errorf("%d bytes were acknowledged, %v", n, err)
			}
			r.Close()
		})
		for range 2 { // the first is in the file when the second is taken
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		ends = append(ends, w)
	}
	if err := filestore.BreakPart(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	if info := infoOf(t, open(t, s, infoOf(t, u).ID)); info.Offset != 0 || info.Written != nil {
		t.Errorf("then there is %+v", info)
	}
	for _, w := range ends {
		w.Close()
	}
	writes.Wait()
}

// onRead calls something before r is read for the first time.
type onRead struct {
	r    io.Reader
	call func() error
}

func (o *onRead) Read(p []byte) (int, error) {
	if call := o.call; call != nil {
		o.call = nil
		if err := call(); err != nil {
			return 0, err
		}
	}
	return o.r.Read(p)
}
