package filestore_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// What somebody has changed or removed by hand isn't the store's any more.
func TestFinishedAsItWas(t *testing.T) {
	later := time.Now().Add(time.Minute)
	for name, test := range map[string]struct {
		change func(path string) error
		listed bool
	}{
		"as it was":     {func(string) error { return nil }, true},
		"removed":       {os.Remove, false},
		"longer":        {func(path string) error { return os.WriteFile(path, []byte("abcd"), 0o600) }, false},
		"other content": {func(path string) error { return os.Chtimes(path, later, later) }, false},
		"renamed over": {func(path string) error {
			if err := os.WriteFile(path+".new", []byte("replaced"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, false},
		"a directory now": {func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		}, false},
		"a link now": {func(path string) error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			return os.Symlink(filepath.Base(path)+".old", path)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), newMemory(t, 0), &filestore.Options{ByID: true})
			u := create(t, s, store.Spec{Length: 3})
			write(t, u, 0, []byte("abc"))
			info := finish(t, u, []byte("abc"))
			if err := test.change(info.Location); err != nil {
				t.Fatal(err)
			}
			listed := false
			for got, err := range s.Finished(t.Context(), time.Time{}) {
				if err != nil || got.ID != info.ID {
					t.Errorf("listed is %+v, %v", got, err)
				}
				listed = true
			}
			if listed != test.listed {
				t.Errorf("listed is %t", listed)
			}
		})
	}
}
