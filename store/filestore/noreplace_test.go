package filestore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// A Finish that replaces nothing takes two steps: a link with the new name,
// and the removal of the old one. The process may die between them.
func TestNoReplaceCutOff(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	data := randomBytes(1000)
	u, info, err := s.Create(t.Context(), store.Spec{Name: "a.bin", Length: 1000, NoReplace: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(t.Context(), 0, bytes.NewReader(data), 1000); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(dir, filestore.StateDir, info.ID+".part")
	if err := os.Link(part, filepath.Join(dir, "a.bin")); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, dir, newMemory(t, 1<<20), nil)
	u, _, err = again.Open(t.Context(), info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Finish(t.Context(), store.Sum{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a.bin")); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := os.Stat(filepath.Join(dir, filestore.StateDir)); !os.IsNotExist(err) {
		t.Errorf("something is left: %v", err)
	}
}
