package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// A directory that can't be read can't be synced either, but names in it can change: who
// promises that they last has to refuse there. And what is acknowledged after that is
// still there. A child tries it, as root may read everything.
func TestDirectoryThatCannotBeSynced(t *testing.T) {
	for name, c := range map[string]struct {
		role string
		opts filestore.Options
		want string
	}{
		"of a new store":               {role: "new store", want: "refused"},
		"of a new state":               {role: "new state", opts: *synced, want: "refused"},
		"of a new state, not promised": {role: "new state", want: "done"},
		"of a log that grows":          {role: "log", opts: *synced, want: "refused"},
		"of a log, not promised":       {role: "log", want: "done"},
		"of a log that is long":        {role: "long log", opts: *synced, want: "refused"},
		"of a log, in a long Write":    {role: "long write", opts: *synced, want: "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o755, dir: 0o777} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			child := startChild(t, "directories", filepath.Join(dir, "d"), c.role, fmt.Sprint(c.opts.SyncAcks))
			said := ""
			for child.lines.Scan() {
				said += child.lines.Text()
			}
			err := child.Wait()
			if said == "unreachable" {
				t.Skip("the temporary directory is root's alone")
			}
			if err != nil || said != c.want {
				t.Errorf("child said %q, %v; want %q", said, err, c.want)
			}
		})
	}
}

// changeDirectories has names change in a directory, and says how that ends.
func changeDirectories() {
	dir, role, syncAcks := os.Args[1], os.Args[2], os.Args[3] == "true"
	const nobody = 65534
	if os.Getuid() == 0 {
		exitOn(errors.Join(syscall.Setgid(nobody), syscall.Setuid(nobody)))
	}
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrPermission) {
		fmt.Println("unreachable")
		return
	}
	exitOn(err)
	mem, err := memory.New(&memory.Options{Limit: 4 << 20})
	exitOn(err)
	if role == "new store" {
		exitOn(os.Chmod(dir, 0o300))
		_, err := filestore.Open(filepath.Join(dir, "new"), mem, nil)
		exitOn(os.Chmod(dir, 0o700))
		say(err)
		return
	}
	opts := &filestore.Options{ByID: true, SyncAcks: syncAcks}
	s, err := filestore.Open(dir, mem, opts)
	exitOn(err)
	unit := int64(1)
	spec := store.Spec{Length: 40, Metadata: map[string]string{"long": strings.Repeat("x", 7_000)}}
	switch role {
	case "new state":
		exitOn(os.Chmod(dir, 0o300))
		_, _, err := s.Create(context.Background(), spec)
		exitOn(os.Chmod(dir, 0o700))
		say(err)
		return
	case "long log":
		spec.Metadata["longer"] = strings.Repeat("x", 3_000)
	case "long write":
		unit = 40 << 20
		spec.Length, spec.Metadata["longer"] = unit, strings.Repeat("x", 1_020)
	}
	u, info, err := s.Create(context.Background(), spec)
	exitOn(err)
	write := func(off int64) (int64, error) {
		for off < spec.Length {
			n, err := u.Write(context.Background(), off, zeros{}, min(unit, spec.Length-off))
			if off += n; err != nil {
				return off, err
			}
		}
		return off, nil
	}
	exitOn(os.Chmod(filepath.Join(dir, filestore.StateDir), 0o300))
	acknowledged, refused := write(0)
	exitOn(os.Chmod(filepath.Join(dir, filestore.StateDir), 0o700))
	again, err := filestore.Open(dir, mem, opts)
	exitOn(err)
	now, err := again.Stat(context.Background(), info.ID)
	exitOn(err)
	if now.Offset < acknowledged {
		exitOn(fmt.Errorf("%d bytes were acknowledged, %d are there", acknowledged, now.Offset))
	}
	_, err = write(acknowledged)
	exitOn(err)
	_, err = u.Finish(context.Background(), store.Sum{})
	exitOn(err)
	say(refused)
}

func say(err error) {
	switch {
	case err == nil:
		fmt.Println("done")
	case errors.Is(err, store.ErrDenied):
		fmt.Println("refused")
	default:
		exitOn(err)
	}
}
