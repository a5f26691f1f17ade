package filestore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

var byID = &filestore.Options{ByID: true}

// A small file by id has two names until it is safe. If the process dies meanwhile it
// isn't finished, whoever asks.
func TestKillInPublish(t *testing.T) {
	for name, then := range map[string]func(*testing.T, store.Upload, string, []byte){
		"finished": func(t *testing.T, u store.Upload, _ string, data []byte) { finish(t, u, data) },
		"written to": func(t *testing.T, u store.Upload, file string, data []byte) {
			write(t, u, 0, data[:10])
			if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it has its name while it is written to: %v", err)
			}
			finish(t, u, data)
		},
		"aborted": func(t *testing.T, u store.Upload, file string, _ []byte) {
			if err := u.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file is there: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, data := t.TempDir(), randomBytes(5000)
			id := linkOnly(t, dir, data)
			s := openInBoot(t, "one", dir, byID)
			if info, err := s.Stat(t.Context(), id); err != nil || info.Offset != 5000 || info.Complete {
				t.Fatalf("after the kill: %+v, %v", info, err)
			}
			then(t, open(t, s, id), filepath.Join(dir, id), data)
			if name != "aborted" {
				wantOnlyFile(t, dir, id, data)
			}
		})
	}
}

// After a power loss either name may be there, and any of the bytes.
func TestRebootInPublish(t *testing.T) {
	for name, c := range map[string]struct {
		damage   func(part, file string) error
		want     int64
		complete bool
	}{
		"nothing is lost":        {func(_, _ string) error { return nil }, 5000, true},
		"the name is lost":       {func(_, file string) error { return os.Remove(file) }, 5000, false},
		"the name is another's":  {replace, 5000, false},
		"bytes are lost":         {func(part, _ string) error { return zero(part, 100) }, 0, false},
		"the end is lost":        {func(part, _ string) error { return os.Truncate(part, 4999) }, 0, false},
		"all bytes are lost":     {func(part, _ string) error { return os.Truncate(part, 0) }, 0, false},
		"bytes and name is lost": {func(part, file string) error { return errors.Join(zero(part, 100), os.Remove(file)) }, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir, data := t.TempDir(), randomBytes(5000)
			id := linkOnly(t, dir, data)
			file := filepath.Join(dir, id)
			if err := c.damage(partPath(dir, id), file); err != nil {
				t.Fatal(err)
			}
			s := openInBoot(t, "two", dir, byID)
			if info, err := s.Stat(t.Context(), id); err != nil || info.Offset != c.want || info.Complete != c.complete {
				t.Fatalf("after the reboot: %+v, %v", info, err)
			}
			u := open(t, s, id)
			if c.want == 0 {
				write(t, u, 0, data[:10])
				if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("it has its name while it is written to: %v", err)
				}
				wantOffset(t, openInBoot(t, "two", dir, byID), id, 10)
				write(t, u, 10, data[10:])
			}
			finish(t, u, data)
			wantOnlyFile(t, dir, id, data)
		})
	}
}

// The removal of the old name isn't synced.
func TestRebootAfterPublish(t *testing.T) {
	dir, data := t.TempDir(), randomBytes(5000)
	u := create(t, openInBoot(t, "one", dir, byID), store.Spec{Name: "f", Length: 5000})
	write(t, u, 0, data)
	id := finish(t, u, data).ID
	if err := os.Link(filepath.Join(dir, id), partPath(dir, id)); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			info, err := openInBoot(t, "two", dir, byID).Stat(t.Context(), id)
			if err != nil || !info.Complete || info.Sum != sumOf(data) {
				t.Errorf("after the reboot: %+v, %v", info, err)
			}
		})
	}
	all.Wait()
	wantOnlyFile(t, dir, id, data)
}

// Links are not to be had everywhere, and not at any length.
func TestPublishWithoutLink(t *testing.T) {
	for _, length := range []int{5000, 2 << 20} {
		dir, data := t.TempDir(), randomBytes(length)
		u := create(t, openStore(t, dir, newMemory(t, 1<<20), byID), store.Spec{Name: "f", Length: int64(length)})
		write(t, u, 0, data)
		id := infoOf(t, u).ID
		if length == 5000 {
			writeFile(t, filepath.Join(dir, id), nil)
		}
		finish(t, u, data)
		wantOnlyFile(t, dir, id, data)
	}
}

// linkOnly makes an upload whose Finish is cut off before its sync.
func linkOnly(t *testing.T, dir string, data []byte) (id string) {
	t.Helper()
	u := create(t, openInBoot(t, "one", dir, byID), store.Spec{Name: "f", Length: int64(len(data))})
	write(t, u, 0, data)
	if err := filestore.LinkOnly(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return infoOf(t, u).ID
}

// zero leaves zeros of what a file has from off on.
func zero(path string, off int64) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return errors.Join(os.Truncate(path, off), os.Truncate(path, info.Size()))
}

// replace puts another file in the place of one.
func replace(_, path string) error {
	return errors.Join(os.Remove(path), os.WriteFile(path, []byte("x"), 0o600))
}

func wantOnlyFile(t *testing.T, dir, id string, data []byte) {
	t.Helper()
	if !bytes.Equal(readFile(t, filepath.Join(dir, id)), data) {
		t.Error("the file is not the upload")
	}
	wantTree(t, dir, ".streamflow", filepath.Join(".streamflow", id+".log"), id)
}
