package durable_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/streamflow/streamflow/internal/durable"
)

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestWriteFile(t *testing.T) {
	for name, sync := range map[string]bool{"synced": true, "not synced": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			root := openRoot(t, dir)
			if err := root.Mkdir("sub", 0o700); err != nil {
				t.Fatal(err)
			}
			for _, data := range []string{"first", "second, longer", ""} {
				if err := durable.WriteFile(root, "sub/state", []byte(data), sync); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(filepath.Join(dir, "sub", "state"))
				if err != nil || string(got) != data {
					t.Fatalf("got %q, %v; want %q", got, err, data)
				}
			}
			wantEntries(t, filepath.Join(dir, "sub"), "state")
		})
	}
}

// A reader sees one whole content or the other, whatever the moment.
func TestWriteFileIsAtomic(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	a, b := bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<15)
	if err := durable.WriteFile(root, "f", a, false); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		var err error
		for range 200 {
			if err = durable.WriteFile(root, "f", b, false); err != nil {
				break
			}
			if err = durable.WriteFile(root, "f", a, false); err != nil {
				break
			}
		}
		done <- err
	}()
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
		got, err := os.ReadFile(filepath.Join(dir, "f"))
		if err != nil || !bytes.Equal(got, a) && !bytes.Equal(got, b) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

func TestWriteFileFailure(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	if err := root.MkdirAll("taken/by a directory", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(root, "taken", []byte("x"), true); err == nil {
		t.Error("a directory was replaced")
	}
	if err := durable.WriteFile(root, "missing/f", []byte("x"), true); err == nil {
		t.Error("no error for a missing directory")
	}
	if err := durable.WriteFile(root, "../f", []byte("x"), true); err == nil {
		t.Error("left the root")
	}
	wantEntries(t, dir, "taken")
}

func TestCreateFile(t *testing.T) {
	for name, sync := range map[string]bool{"synced": true, "not synced": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			root := openRoot(t, dir)
			f, err := durable.CreateFile(root, "f", []byte("first"), sync)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := durable.CreateFile(root, "f", []byte("second"), sync); !errors.Is(err, fs.ErrExist) {
				t.Errorf("where there is one: %v", err)
			}
			if _, err := f.WriteString(", more"); err != nil {
				t.Error(err)
			}
			if got, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || string(got) != "first, more" {
				t.Errorf("got %q, %v", got, err)
			}
			if _, err := durable.CreateFile(root, "missing/f", []byte("x"), sync); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("in a missing directory: %v", err)
			}
			wantEntries(t, dir, "f")
		})
	}
}

func TestWriteFileReplacesLeftover(t *testing.T) {
	dir := t.TempDir()
	root := openRoot(t, dir)
	leftover := filepath.Join(dir, "f"+durable.TempSuffix)
	if err := os.WriteFile(leftover, []byte("half a state, and longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(root, "f", []byte("new"), true); err != nil {
		t.Fatal(err)
	}
	got, err := root.ReadFile("f")
	if err != nil || string(got) != "new" {
		t.Fatalf("got %q, %v", got, err)
	}
	wantEntries(t, dir, "f")
}

func TestMkdirAll(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"": nil, "a": nil, "a/b/../c/d": nil, "file": syscall.ENOTDIR, "file/x": syscall.ENOTDIR} {
		for range 2 {
			if err := durable.MkdirAll(filepath.Join(dir, name), 0o700); !errors.Is(err, want) {
				t.Errorf("%q: %v", name, err)
			}
		}
		if info, err := os.Stat(filepath.Join(dir, name)); want == nil && (err != nil || !info.IsDir()) {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}
}

func TestSyncDir(t *testing.T) {
	root := openRoot(t, t.TempDir())
	if err := durable.SyncDir(root, "."); err != nil {
		t.Error(err)
	}
	if err := durable.SyncDir(root, "missing"); err == nil {
		t.Error("no error for a missing directory")
	}
}

func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if len(got) != len(want) {
		t.Fatalf("%s holds %q, want %q", dir, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s holds %q, want %q", dir, got, want)
		}
	}
}
