package filestore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/streamflow/streamflow/store"
)

// What a crash has left of an upload that nobody can find goes, once it is old enough not
// to be one that is being made.
func TestRemoveOrphans(t *testing.T) {
	old := time.Now().Add(-2 * time.Hour)
	for name, test := range map[string]struct {
		lose   func(part, log, file string) error
		finish bool
		old    bool
		gone   bool
	}{
		"log is missing":         {func(_, log, _ string) error { return os.Remove(log) }, false, true, true},
		"log is empty":           {func(_, log, _ string) error { return os.Truncate(log, 0) }, false, true, true},
		"log is empty, young":    {func(_, log, _ string) error { return os.Truncate(log, 0) }, false, false, false},
		"log is damaged":         {func(_, log, _ string) error { return os.WriteFile(log, []byte("?"), 0o600) }, false, true, false},
		"all is there":           {func(_, _, _ string) error { return nil }, false, true, false},
		"it was published, too":  {func(part, log, file string) error { return errors.Join(os.Truncate(log, 0), os.Link(part, file)) }, false, true, true},
		"part is missing":        {func(part, _, _ string) error { return os.Remove(part) }, false, true, true},
		"part is missing, young": {func(part, _, _ string) error { return os.Remove(part) }, false, false, false},
		"finished":               {func(_, _, _ string) error { return nil }, true, true, false},
		"finished and taken":     {func(_, _, file string) error { return os.Remove(file) }, true, true, true},
		"finished, log damaged": {func(_, log, file string) error {
			return errors.Join(os.Remove(file), os.WriteFile(log, []byte("?"), 0o600))
		}, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir, newMemory(t, 1<<20), byID)
			u := create(t, s, store.Spec{Length: 3})
			write(t, u, 0, []byte("abc"))
			id := infoOf(t, u).ID
			if test.finish {
				finish(t, u, []byte("abc"))
			}
			if err := test.lose(partPath(dir, id), logPath(dir, id), filepath.Join(dir, id)); err != nil {
				t.Fatal(err)
			}
			if test.old {
				for _, path := range []string{partPath(dir, id), logPath(dir, id)} {
					if err := os.Chtimes(path, old, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Fatal(err)
					}
				}
			}
			removed, err := s.RemoveOrphans(t.Context(), time.Now().Add(-time.Hour))
			if err != nil || removed == 1 != test.gone {
				t.Errorf("%d were removed, %v", removed, err)
			}
			if test.gone {
				wantTree(t, dir, ".streamflow")
			} else if _, err := os.Stat(logPath(dir, id)); err != nil {
				t.Errorf("the log: %v", err)
			}
		})
	}
}
