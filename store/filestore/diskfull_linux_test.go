package filestore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// A full disk costs nothing that was written, and the upload goes on after
// there is room again.
func TestFullDisk(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	data := randomBytes(6 << 20)
	u := create(t, s, store.Spec{Name: "f", Length: int64(len(data))})
	n, err := u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data)))
	wantError(t, err, store.ErrNoSpace, ".part")
	info := infoOf(t, u)
	if n < 3<<20 || info.Offset != n || info.Sum != sumOf(data[:n]) {
		t.Fatalf("%d bytes acknowledged, info is %+v", n, info)
	}
	wantError(t, err, store.ErrNoSpace, fmt.Sprintf("no room for %d bytes", int64(len(data))-n))
	grow(t, dir)
	write(t, u, n, data[n:])
	finish(t, u, data)
	if !bytes.Equal(readFile(t, filepath.Join(dir, "f")), data) {
		t.Fatal("the file is not the upload")
	}
	wantTree(t, dir, "f")
}

// The bytes have room, but their record has not, or half of it.
func TestFullDiskForLog(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	data := randomBytes(4000)
	u := create(t, s, store.Spec{Name: "f", Length: 4000})
	write(t, u, 0, make([]byte, 4000)) // takes the page
	fill(t, filepath.Join(dir, "ballast"))

	off := int64(0)
	var err error
	for err == nil && off < 4000 {
		if _, err = u.Write(t.Context(), off, bytes.NewReader(data[off:off+10]), 10); err == nil {
			off += 10
		}
	}
	wantError(t, err, store.ErrNoSpace, ".log")
	wantSame(t, s, u)
	if _, err := u.Write(t.Context(), off, bytes.NewReader(data[off:off+10]), 10); !errors.Is(err, store.ErrNoSpace) {
		t.Fatalf("still full, but error is %v", err)
	}
	grow(t, dir)
	write(t, u, off, data[off:])
	wantSame(t, s, u)
	finish(t, u, data)
}

// A disk without any room: Create fails with a clear error and leaves nothing.
func TestFullDiskForCreate(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	fill(t, filepath.Join(dir, "ballast"))
	_, _, err := s.Create(t.Context(), store.Spec{Name: "f", Length: 1, Metadata: map[string]string{"k": strings.Repeat("v", 20000)}})
	wantError(t, err, store.ErrNoSpace, "create upload of \"f\"")
	grow(t, dir)
	upload(t, s, "f", []byte("x"))
}

// An upload under a full disk can be aborted: that makes room.
func TestFullDiskAbort(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	u := create(t, s, store.Spec{Name: "f", Length: 8 << 20})
	_, err := u.Write(t.Context(), 0, bytes.NewReader(make([]byte, 8<<20)), 8<<20)
	wantError(t, err, store.ErrNoSpace, "")
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	upload(t, s, "g", randomBytes(1<<20))
	wantTree(t, dir, "g")
}

// Whatever an upload has been through, aborting it takes no room.
func TestFullDiskAbortAnyway(t *testing.T) {
	for name, c := range map[string]struct {
		opts   *filestore.Options
		boot   string // in which it is aborted
		sealed bool
	}{
		"after a reboot":               {boot: "two"},
		"finishing":                    {boot: "one", sealed: true},
		"finishing, after a reboot":    {boot: "two", sealed: true},
		"synced, after a reboot":       {opts: synced, boot: "two"},
		"finishing by id, in the boot": {opts: byID, boot: "one", sealed: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, ok := smallDisk(t)
			if !ok {
				return
			}
			u := create(t, openInBoot(t, "one", dir, c.opts), store.Spec{Name: "f", Length: 2 << 20})
			write(t, u, 0, randomBytes(2<<20))
			if c.sealed {
				if err := filestore.FinishSteps(t.Context(), u, 1); err != nil {
					t.Fatal(err)
				}
			}
			info := infoOf(t, u)
			fill(t, filepath.Join(dir, "ballast"))
			s := openInBoot(t, c.boot, dir, c.opts)
			if err := open(t, s, info.ID).Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []string{"ballast"}
			if c.opts == byID {
				want = []string{".streamflow", "ballast"}
			}
			wantTree(t, dir, want...)
		})
	}
}

// A concatenation that finds no room leaves nothing, and its parts as they are.
func TestFullDiskConcatenate(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	data := randomBytes(3 << 20)
	u := create(t, s, store.Spec{Name: "part", Length: int64(len(data))})
	write(t, u, 0, data)
	id := infoOf(t, u).ID
	_, _, err := s.Concatenate(t.Context(), store.Spec{Name: "whole"}, []string{id})
	wantError(t, err, store.ErrNoSpace, "copy "+id)
	wantTree(t, dir, ".streamflow", ".streamflow/"+id+".log", ".streamflow/"+id+".part")
	grow(t, dir)
	whole, _, err := s.Concatenate(t.Context(), store.Spec{Name: "whole"}, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	if info := finish(t, whole, data); !bytes.Equal(readFile(t, info.Location), data) {
		t.Fatalf("with room again: %+v", info)
	}
}

// A limit on the size of files looks the same, and needs no rights to test.
func TestFileSizeLimit(t *testing.T) {
	c := startChild(t, "limit", t.TempDir())
	said := ""
	for c.lines.Scan() {
		said = c.lines.Text()
	}
	if err := c.Wait(); err != nil || said != "finished" {
		t.Fatalf("child said %q, %v", said, err)
	}
}

func hitFileSizeLimit() {
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(n uint64) {
		var l syscall.Rlimit
		exitOn(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l))
		l.Cur = min(n, l.Max)
		exitOn(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l))
	}
	ctx := context.Background()
	mem, err := memory.New(&memory.Options{Limit: 4 << 20})
	exitOn(err)
	s, err := filestore.Open(os.Args[1], mem, nil)
	exitOn(err)
	data := randomBytes(3 << 20)
	u, _, err := s.Create(ctx, store.Spec{Name: "f", Length: int64(len(data))})
	exitOn(err)
	limit(1_500_000)
	n, err := u.Write(ctx, 0, bytes.NewReader(data), int64(len(data)))
	if n < 1<<20 || n > 1_500_000 || !errors.Is(err, store.ErrNoSpace) {
		exitOn(fmt.Errorf("wrote %d bytes: %w", n, err))
	}
	limit(1 << 40)
	_, err = u.Write(ctx, n, bytes.NewReader(data[n:]), int64(len(data))-n)
	exitOn(err)
	_, err = u.Finish(ctx, sumOf(data))
	exitOn(err)
	fmt.Println("finished")
}

// wantSame fails the test unless a restart sees what this process does.
func wantSame(t *testing.T, s *filestore.Store, u store.Upload) {
	t.Helper()
	have := infoOf(t, u)
	again, err := s.Stat(t.Context(), have.ID)
	if err != nil || again.Offset != have.Offset || again.Sum != have.Sum {
		t.Fatalf("info is %+v, a restart says %+v, %v", have, again, err)
	}
}
