package filestore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

var synced = &filestore.Options{SyncAcks: true}

// After a failed sync nobody knows which bytes the system still has, and a second one
// may well succeed. That holds also where the log, which says that they are there, can't
// be written anew.
func TestFailedSync(t *testing.T) {
	for name, fail := range map[string]func(context.Context, store.Upload) error{
		"sync": filestore.FailSync, "finish": filestore.FailFinish, "close": filestore.FailClose,
	} {
		for _, logged := range []bool{true, false} {
			for opts, want := range map[filestore.Options]int64{{}: 0, {SyncAcks: true}: 5000, {ByID: true}: 0} {
				t.Run(fmt.Sprintf("%s, logged %v, %+v", name, logged, opts), func(t *testing.T) {
					dir, data := t.TempDir(), randomBytes(5000)
					s := openStore(t, dir, newMemory(t, 1<<20), &opts)
					u := create(t, s, store.Spec{Name: "f", Length: 5000})
					write(t, u, 0, data)
					id := infoOf(t, u).ID
					inTheWay := logPath(dir, id) + durable.TempSuffix
					if !logged {
						if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700); err != nil {
							t.Fatal(err)
						}
					}
					if err := fail(t.Context(), u); err == nil {
						t.Error("no error")
					}
					wantOffset(t, s, id, want)
					if got := infoOf(t, u).Offset; got != want {
						t.Errorf("offset is %d, want %d", got, want)
					}
					if _, err := u.Finish(t.Context(), store.Sum{}); (err == nil) != (logged && want == 5000) {
						t.Errorf("finished: %v", err)
					}
					if err := os.RemoveAll(inTheWay); err != nil {
						t.Fatal(err)
					}
					if want < 5000 {
						u = open(t, s, id)
						write(t, u, want, data[want:])
						wantOffset(t, openStore(t, dir, newMemory(t, 1<<20), &opts), id, 5000)
					}
					finish(t, u, data)
				})
			}
		}
	}
}

// A log whose sync fails may have lost any of its records.
func TestFailedSyncOfLog(t *testing.T) {
	dir, data := t.TempDir(), randomBytes(5000)
	s := openStore(t, dir, newMemory(t, 1<<20), synced)
	u := create(t, s, store.Spec{Name: "f", Length: 5000})
	write(t, u, 0, data[:1000])
	id := infoOf(t, u).ID
	before := stat(t, logPath(dir, id))
	r := &onRead{bytes.NewReader(data[1000:2000]), func() error { return filestore.BreakLog(t.Context(), u) }}
	if n, err := u.Write(t.Context(), 1000, r, 1000); n != 0 || err == nil {
		t.Errorf("%d bytes were acknowledged, %v", n, err)
	}
	if os.SameFile(before, stat(t, logPath(dir, id))) {
		t.Error("it wasn't written anew")
	}
	wantOffset(t, s, id, 1000)
	wantOffset(t, openInBoot(t, "two", dir, synced), id, 1000)
	write(t, u, 1000, data[1000:])
	finish(t, u, data)
}

// An upload that nothing is known of any more goes as any other.
func TestAbortAfterFailedSync(t *testing.T) {
	dir := t.TempDir()
	u := create(t, openStore(t, dir, newMemory(t, 1<<20), nil), store.Spec{Name: "f", Length: 3})
	write(t, u, 0, []byte("abc"))
	if err := filestore.FailFinish(t.Context(), u); err == nil {
		t.Error("no error")
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTree(t, dir)
}

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

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}
