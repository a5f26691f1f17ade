package filestore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// A directory that somebody else can write to must not lead out of the store.
func TestSymlinks(t *testing.T) {
	for name, c := range map[string]struct {
		link   string // in the store, to a directory or file outside
		target string
		object string
	}{
		"directory":           {link: "d", target: ".", object: "d/f"},
		"file":                {link: "f", target: "victim", object: "f"},
		"dangling":            {link: "f", target: "new", object: "f"},
		"dangling directory":  {link: "d", target: "new", object: "d/f"},
		"state directory":     {link: ".streamflow", target: ".", object: "f"},
		"in an inner element": {link: "a/d", target: ".", object: "a/d/e/f"},
	} {
		t.Run(name, func(t *testing.T) {
			outside, dir := t.TempDir(), t.TempDir()
			writeFile(t, filepath.Join(outside, "victim"), []byte("precious"))
			link := filepath.Join(dir, c.link)
			if err := os.MkdirAll(filepath.Dir(link), 0o700); err != nil {
				t.Fatal(err)
			}
			symlink(t, filepath.Join(outside, c.target), link)
			s := openStore(t, dir, newMemory(t, 1<<20), nil)
			if _, _, err := s.Create(t.Context(), store.Spec{Name: c.object, Length: 1}); err == nil {
				t.Error("Create followed a link out of the store")
			}
			wantTree(t, outside, "victim")
			if got := readFile(t, filepath.Join(outside, "victim")); string(got) != "precious" {
				t.Errorf("the file outside holds %q", got)
			}
		})
	}
}

// The same links, made between Create and Finish.
func TestSymlinksBeforeFinish(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(outside, "victim"), []byte("precious"))
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	for link, object := range map[string]string{"d": "d/f", "f": "f"} {
		u := create(t, s, store.Spec{Name: object, Length: 4})
		write(t, u, 0, []byte("evil"))
		target := outside
		if link == "f" {
			target = filepath.Join(outside, "victim")
		}
		symlink(t, target, filepath.Join(dir, link))
		_, err := u.Finish(t.Context(), store.Sum{})
		wantError(t, err, store.ErrInvalid, "name")

		// Without the link it goes on.
		if err := os.Remove(filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
		finish(t, u, []byte("evil"))
	}
	wantTree(t, outside, "victim")
	if got := readFile(t, filepath.Join(outside, "victim")); string(got) != "precious" {
		t.Errorf("the file outside holds %q", got)
	}
}

// Links in place of an upload's own files.
func TestSymlinkedState(t *testing.T) {
	for _, file := range []string{".part", ".log"} {
		t.Run(file, func(t *testing.T) {
			outside, dir := t.TempDir(), t.TempDir()
			victim := filepath.Join(outside, "victim")
			s := openStore(t, dir, newMemory(t, 1<<20), nil)
			u := create(t, s, store.Spec{Name: "f", Length: 4})
			path := strings.TrimSuffix(logPath(dir, infoOf(t, u).ID), ".log") + file
			writeFile(t, victim, readFile(t, path))
			before := readFile(t, victim)
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			symlink(t, victim, path)
			if _, err := u.Write(t.Context(), 0, strings.NewReader("evil"), 4); err == nil {
				t.Error("wrote through a link")
			}
			if got := readFile(t, victim); string(got) != string(before) {
				t.Errorf("the file outside holds %q", got)
			}
		})
	}
}

// Something else in place of a finished file, or of the bytes of an upload.
func TestReadFollowsNoLink(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, dir, path, other string) error{
		"link out of the store": func(t *testing.T, _, path, _ string) error {
			victim := filepath.Join(t.TempDir(), "victim")
			writeFile(t, victim, []byte("precious"))
			return os.Symlink(victim, path)
		},
		"link to another upload": func(_ *testing.T, _, path, other string) error { return os.Symlink(filepath.Base(other), path) },
		"pipe":                   func(_ *testing.T, _, path, _ string) error { return unix.Mkfifo(path, 0o600) },
		"directory":              func(_ *testing.T, _, path, _ string) error { return os.Mkdir(path, 0o700) },
		"shorter file":           func(t *testing.T, _, path, _ string) error { return os.WriteFile(path, []byte("evil"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openStore(t, dir, newMemory(t, 1<<20), &filestore.Options{ByID: true})
			for _, finished := range []bool{true, false} {
				var paths []string
				var id string
				for range 2 {
					u := create(t, s, store.Spec{Length: 8})
					write(t, u, 0, []byte("precious"))
					id = infoOf(t, u).ID
					path := filepath.Join(dir, ".streamflow", id+".part")
					if finished {
						finish(t, u, []byte("precious"))
						path = filepath.Join(dir, id)
					}
					paths = append(paths, path)
				}
				if err := os.Remove(paths[1]); err != nil {
					t.Fatal(err)
				}
				if err := replace(t, dir, paths[1], paths[0]); err != nil {
					t.Fatal(err)
				}
				if r, _, err := s.OpenReader(t.Context(), id); err == nil {
					t.Errorf("finished %t: reads something else", finished)
					_ = r.Close()
				}
			}
		})
	}
}

func TestNameIsTaken(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "directory"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "file"), nil)
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	for name, text := range map[string]string{
		"directory": "taken by something that is not a regular file",
		"file/f":    "can't be used here",
		"../f":      "is not a path within the destination",
		"a//b":      "has an element that is empty",
	} {
		_, _, err := s.Create(t.Context(), store.Spec{Name: name, Length: 1})
		wantError(t, err, store.ErrInvalid, text)
	}
}

// A process that has too many files open is no reason to choose another name.
func TestNoDescriptorForTheName(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var usual, none syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	none = usual
	none.Cur = uint64(len(open)) - 1 // without the descriptor that has read the directory
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Create(t.Context(), store.Spec{Name: "a/b/f", Length: 1})
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &usual); err != nil {
		t.Fatal(err)
	}
	wantAs(t, err, new(*store.TransientError))
	if errors.Is(err, store.ErrInvalid) {
		t.Errorf("%v: it blames the name", err)
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "file"), nil)
	if _, err := filestore.Open(filepath.Join(dir, "file"), newMemory(t, 1<<20), nil); err == nil {
		t.Error("opened a file as a store")
	}
	if _, err := filestore.Open(filepath.Join(dir, "new/deep"), newMemory(t, 1<<20), nil); err != nil {
		t.Error(err)
	}
}

func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
}
