package filestore_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/streamflow/streamflow/store"
)

// A Create that is refused must not make even for a moment a part, beside which the
// finished upload would look unfinished. The directory's time tells of one.
func TestTakenIDMakesNothing(t *testing.T) {
	dir, data := t.TempDir(), randomBytes(5000)
	s := openStore(t, dir, newMemory(t, 1<<20), byID)
	id := upload(t, s, "f", data).ID
	state, then := filepath.Join(dir, ".streamflow"), time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(state, then, then); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Create(t.Context(), store.Spec{ID: id, Length: 1})
	wantError(t, err, store.ErrTaken, "")
	if info, err := os.Stat(state); err != nil || !info.ModTime().Equal(then) {
		t.Errorf("the directory was changed: %v, %v", info, err)
	}
	wantOnlyFile(t, dir, id, data)
}

// A Create of an id that is taken, cut off, may have left an empty part.
func TestEmptyPartOfFinished(t *testing.T) {
	for name, length := range map[string]int{"small": 5000, "large": 2 << 20, "empty": 0} {
		for _, boot := range []string{"one", "two"} {
			t.Run(name+", found in boot "+boot, func(t *testing.T) {
				dir, data := t.TempDir(), randomBytes(length)
				id := upload(t, openInBoot(t, "one", dir, byID), "f", data).ID
				writeFile(t, partPath(dir, id), nil)

				s := openInBoot(t, boot, dir, byID)
				for info, err := range s.Unfinished(t.Context(), time.Time{}) {
					t.Errorf("unfinished: %+v, %v", info, err)
				}
				info, err := s.Stat(t.Context(), id)
				if err != nil || !info.Complete || info.Sum != sumOf(data) {
					t.Fatalf("info is %+v, %v", info, err)
				}
				r, _, err := s.OpenReader(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				wantOnlyFile(t, dir, id, data)
			})
		}
	}
}

// What lost all its bytes before it was finished isn't finished because another file has
// its name.
func TestEmptyPartOfUnfinished(t *testing.T) {
	dir, data := t.TempDir(), randomBytes(5000)
	id := linkOnly(t, dir, data)
	file := filepath.Join(dir, id)
	if err := replace("", file); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(partPath(dir, id), 0); err != nil {
		t.Fatal(err)
	}
	s := openInBoot(t, "two", dir, byID)
	wantOffset(t, s, id, 0)
	u := open(t, s, id)
	write(t, u, 0, data)
	finish(t, u, data)
	wantOnlyFile(t, dir, id, data)
}

// Finish and Abort open the part before they know.
func TestEmptyPartIsOpened(t *testing.T) {
	dir := t.TempDir()
	s := openInBoot(t, "one", dir, byID)
	u := create(t, s, store.Spec{Length: 3})
	write(t, u, 0, []byte("abc"))
	id := finish(t, u, []byte("abc")).ID
	writeFile(t, partPath(dir, id), nil)
	finish(t, u, []byte("abc"))
	wantOnlyFile(t, dir, id, []byte("abc"))
	writeFile(t, partPath(dir, id), nil)
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTree(t, dir, ".streamflow")
}
