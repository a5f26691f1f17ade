package journal_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/internal/journal"
)

func open(t testing.TB) (*journal.Journal, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state", "streamflow")
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j, dir
}

func take(t testing.TB, j *journal.Journal) *journal.Entry {
	t.Helper()
	r := record()
	e, err := j.Take(r.Key())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func record() journal.Record {
	return journal.Record{
		Version:     2,
		Source:      journal.Identity{Path: "/data/a.iso", Size: 1 << 30, ModTime: time.Unix(1e9, 5).UTC(), Inode: 7},
		Object:      "images/a.iso",
		Destination: "https://example.com/files/",
		UploadID:    "abc",
		Checkpoints: []journal.Checkpoint{{Offset: 1 << 26, CRC32C: 1}, {Offset: 1 << 27, CRC32C: 2}},
	}
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestSaveAndLoad(t *testing.T) {
	j, dir := open(t)
	e := take(t, j)
	if _, found, err := e.Load(); found || err != nil {
		t.Fatalf("before: %v, %v", found, err)
	}
	want := record()
	if err := e.Save(want); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("beside the entry there is something left: %v", got)
	}
	e = take(t, j)
	got, found, err := e.Load()
	if !found || err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, %v", got, found, err)
	}
	for range 2 {
		if err := e.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A Save that a crash cut off leaves nothing behind once the record is forgotten.
func TestRemoveAfterCrash(t *testing.T) {
	j, dir := open(t)
	e := take(t, j)
	if err := e.Save(record()); err != nil {
		t.Fatal(err)
	}
	saved, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(saved) != 1 {
		t.Fatalf("saved as %q, %v", saved, err)
	}
	if err := os.WriteFile(saved[0]+durable.TempSuffix, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Remove(); err != nil {
			t.Error(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
}

// Names of files are any bytes.
func TestNamesAreKeptExactly(t *testing.T) {
	for _, name := range []string{"\xff", "\ufffd", `\xff`, `"`, "\n", "ä 日本", `C:\new`} {
		j, _ := open(t)
		r := record()
		r.Source.Path, r.Object, r.Destination = "/"+name, name, "/mnt/"+name
		e, err := j.Take(r.Key())
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Save(r); err != nil {
			t.Fatal(err)
		}
		if got, found, err := e.Load(); !found || err != nil || got.Key() != r.Key() {
			t.Errorf("%q: got %+v, %v, %v", name, got, found, err)
		}
		listed := 0
		for got, err := range j.Records(r.Destination) {
			if listed++; err != nil || got.Key() != r.Key() {
				t.Errorf("%q: listed %+v, %v", name, got, err)
			}
		}
		if listed != 1 {
			t.Errorf("%q: %d listed", name, listed)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOtherUploadsAreOtherEntries(t *testing.T) {
	j, _ := open(t)
	take(t, j)
	for _, change := range []func(*journal.Key){
		func(k *journal.Key) { k.Path = "/data/b.iso" },
		func(k *journal.Key) { k.Object = "a.iso" },
		func(k *journal.Key) { k.Destination = "https://example.org/" },
	} {
		r := record()
		key := r.Key()
		change(&key)
		e, err := j.Take(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTakenEntryIsBusy(t *testing.T) {
	j, _ := open(t)
	e := take(t, j)
	r := record()
	_, err := j.Take(r.Key())
	if !errors.Is(err, journal.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Errorf("got %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	take(t, j)
}

func TestUnusableRecords(t *testing.T) {
	good := func(change func(*journal.Record)) func(*journal.Entry, string) error {
		return func(e *journal.Entry, _ string) error {
			r := record()
			change(&r)
			return e.Save(r)
		}
	}
	raw := func(text string) func(*journal.Entry, string) error {
		return func(e *journal.Entry, dir string) error {
			if err := e.Save(record()); err != nil {
				return err
			}
			names, err := filepath.Glob(filepath.Join(dir, "*.json"))
			if err != nil {
				return err
			}
			return os.WriteFile(names[0], []byte(text), 0o600)
		}
	}
	for name, write := range map[string]func(*journal.Entry, string) error{
		"empty":             raw(""),
		"cut":               raw(`{"version":2,"source":{"pa`),
		"other version":     raw(`{"version":99}`),
		"not quoted":        raw(`{"version":2,"source":{"path":"/data/\\"}}`),
		"before names":      raw(`{"version":1,"source":{"path":"/data/a.iso","size":9},"destination":"https://example.com/files/","upload_id":"x"}`),
		"other source":      good(func(r *journal.Record) { r.Source.Path = "/etc/passwd" }),
		"no id":             good(func(r *journal.Record) { r.UploadID = "" }),
		"negative size":     good(func(r *journal.Record) { r.Source.Size, r.Checkpoints = -1, nil }),
		"falling":           good(func(r *journal.Record) { r.Checkpoints[1].Offset = 1 }),
		"beyond the source": good(func(r *journal.Record) { r.Checkpoints[1].Offset = 1 << 40 }),
	} {
		t.Run(name, func(t *testing.T) {
			j, dir := open(t)
			e := take(t, j)
			if err := write(e, dir); err != nil {
				t.Fatal(err)
			}
			if _, found, err := e.Load(); found || err == nil {
				t.Fatalf("got %v, %v", found, err)
			}
			if err := e.Save(record()); err != nil {
				t.Fatal(err)
			}
			if _, found, err := e.Load(); !found || err != nil {
				t.Errorf("after the next save: %v, %v", found, err)
			}
		})
	}
}

func TestDifference(t *testing.T) {
	s := record().Source
	if got := s.Difference(s); got != "" {
		t.Errorf("from itself: %q", got)
	}
	for want, change := range map[string]func(*journal.Identity){
		"path":     func(s *journal.Identity) { s.Path = "/b" },
		"size":     func(s *journal.Identity) { s.Size++ },
		"modified": func(s *journal.Identity) { s.ModTime = s.ModTime.Add(1) },
		"another":  func(s *journal.Identity) { s.Inode++ },
	} {
		now := s
		change(&now)
		if got := s.Difference(now); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q", want, got)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"version":2,"source":{"path":"/data/a.iso","size":9},"object":"images/a.iso","destination":"https://example.com/files/","upload_id":"x","checkpoints":[{"offset":3,"crc32c":1}]}`))
	f.Add([]byte(`{"version":2,"source":{"path":"/data/\\xff","size":9},"object":"\"","destination":"","upload_id":"x"}`))
	f.Add([]byte(`null`))
	j, dir := open(f)
	e := take(f, j)
	if err := e.Save(record()); err != nil {
		f.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(names[0], data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, found, err := e.Load()
		if found == (err != nil) {
			t.Fatalf("found %v, error %v", found, err)
		}
		last := int64(0)
		for _, c := range r.Checkpoints {
			if c.Offset <= last || c.Offset > r.Source.Size {
				t.Fatalf("record %+v", r)
			}
			last = c.Offset
		}
	})
}
