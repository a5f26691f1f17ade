package filestore_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/storetest"
)

func TestMain(m *testing.M) {
	if run := children[os.Getenv(childVariable)]; run != nil {
		run()
		return
	}
	goleak.VerifyTestMain(m)
}

// badNames can't be a file's path in the destination.
var badNames = []string{
	"", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "./x", "a/./b", "a//b", "a/", "//",
	"nul\x00", ".streamflow", ".streamflow/x", ".STREAMFLOW/x", strings.Repeat("x", 256), "d/" + strings.Repeat("é", 128),
}

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		store filestore.Options
		suite storetest.Options
	}{
		"by name":             {suite: storetest.Options{BadNames: badNames, Forgets: true}},
		"by id":               {store: filestore.Options{ByID: true}},
		"by name, synced":     {store: filestore.Options{SyncAcks: true}, suite: storetest.Options{Forgets: true}},
		"through no fault":    {store: filestore.Options{ByID: true}},
		"by id, small memory": {store: filestore.Options{ByID: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c.suite.Read = func(t *testing.T, info store.Info) []byte { return readFile(t, info.Location) }
			storetest.Run(t, func(t *testing.T) store.Store {
				limit := int64(8 << 20)
				if name == "by id, small memory" {
					limit = 128 << 10
				}
				s := openStore(t, t.TempDir(), newMemory(t, limit), &c.store)
				if name == "through no fault" {
					return storetest.NewFaulty(s)
				}
				return s
			}, c.suite)
		})
	}
}

// Any name that is legal on this system works, and to the letter.
func TestOddNamesWork(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	names := []string{"new\nline", "\xff\xfe", "日本語/ünï", " ", "-rf", "...", "a\\b", "x.streamflow", "sub/.streamflow", "\x01\x7f"}
	for _, name := range names {
		upload(t, s, name, []byte(name))
		if got := readFile(t, filepath.Join(dir, name)); string(got) != name {
			t.Errorf("%q holds %q", name, got)
		}
	}
}

func TestFinishByNameLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	upload(t, s, "a/b/c.bin", randomBytes(300_000))
	wantTree(t, dir, "a", "a/b", "a/b/c.bin")
}

func TestFinishReplacesFile(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	data := randomBytes(1000)
	u := create(t, s, store.Spec{Name: "f", Length: 1000})
	write(t, u, 0, data)
	if got := readFile(t, path); string(got) != "old" {
		t.Fatalf("before Finish the file holds %q", got)
	}
	finish(t, u, data)
	if !bytes.Equal(readFile(t, path), data) {
		t.Fatal("after Finish the file is not the upload")
	}
}

func TestFinishedByID(t *testing.T) {
	dir := t.TempDir()
	mem := newMemory(t, 1<<20)
	s := openStore(t, dir, mem, &filestore.Options{ByID: true})
	data := randomBytes(5000)
	u := create(t, s, store.Spec{Name: "../any/name", Length: 5000, Metadata: map[string]string{"k": "v"}})
	write(t, u, 0, data)
	id := finish(t, u, data).ID
	wantTree(t, dir, ".streamflow", ".streamflow/"+id+".log", id)

	again := openStore(t, dir, mem, &filestore.Options{ByID: true})
	info, err := again.Stat(t.Context(), id)
	if err != nil || !info.Complete || info.Name != "../any/name" || info.Metadata["k"] != "v" || info.Sum != sumOf(data) {
		t.Fatalf("after a restart: %+v, %v", info, err)
	}
	opened := open(t, again, id)
	if err := opened.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTree(t, dir, ".streamflow")
}

func TestAbortLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	u := create(t, s, store.Spec{Name: "f", Length: 1000})
	write(t, u, 0, randomBytes(500))
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantTree(t, dir)
}

// Retries write a unit again from its start; units of another size may cut
// ranges anywhere. A model of the bytes says what must come out.
func TestRandomRewrites(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	const length = 40_000
	mem := newMemory(t, 1<<20)
	for range 30 {
		dir := t.TempDir()
		s := openStore(t, dir, mem, nil)
		u := create(t, s, store.Spec{Name: "f", Length: length})
		model, present := make([]byte, length), make([]bool, length)
		for range 1 + random.IntN(150) {
			start := random.IntN(length)
			part := randomBytes(1 + random.IntN(min(length-start, 3000)))
			write(t, u, int64(start), part)
			copy(model[start:], part)
			for i := range part {
				present[start+i] = true
			}
		}
		wantRanges(t, u, present)
		for i := range present {
			if !present[i] {
				end := i
				for end < length && !present[end] {
					present[end] = true
					end++
				}
				write(t, u, int64(i), model[i:end])
			}
		}
		finish(t, u, model)
		if !bytes.Equal(readFile(t, filepath.Join(dir, "f")), model) {
			t.Fatal("the file is not what was written")
		}
	}
}

func wantRanges(t *testing.T, u store.Upload, present []bool) {
	t.Helper()
	info, err := u.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]bool, len(present))
	for _, r := range append(info.Written, store.Range{End: info.Offset}) {
		for i := r.Start; i < r.End; i++ {
			got[i] = true
		}
	}
	for i := range present {
		if got[i] != present[i] {
			t.Fatalf("byte %d: present is %v, info says %v", i, present[i], got[i])
		}
	}
}

func newMemory(t testing.TB, limit int64) *memory.Manager {
	t.Helper()
	m, err := memory.New(&memory.Options{Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func openStore(t testing.TB, dir string, mem *memory.Manager, opts *filestore.Options) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(dir, mem, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestOpenNeedsMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := filestore.Open(dir, nil, nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory was made: %v", err)
	}
}

func create(t testing.TB, s store.Store, spec store.Spec) store.Upload {
	t.Helper()
	u, _, err := s.Create(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func open(t testing.TB, s store.Store, id string) store.Upload {
	t.Helper()
	u, _, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func infoOf(t testing.TB, u store.Upload) store.Info {
	t.Helper()
	info, err := u.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func write(t testing.TB, u store.Upload, off int64, data []byte) {
	t.Helper()
	n, err := u.Write(t.Context(), off, bytes.NewReader(data), int64(len(data)))
	if err != nil || n != int64(len(data)) {
		t.Fatalf("wrote %d of %d bytes at %d: %v", n, len(data), off, err)
	}
}

func finish(t testing.TB, u store.Upload, data []byte) store.Info {
	t.Helper()
	info, err := u.Finish(t.Context(), sumOf(data))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func upload(t testing.TB, s store.Store, name string, data []byte) store.Info {
	t.Helper()
	u := create(t, s, store.Spec{Name: name, Length: int64(len(data))})
	write(t, u, 0, data)
	return finish(t, u, data)
}

func sumOf(data []byte) store.Sum {
	return store.Sum{CRC32C: crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)), Known: true}
}

func randomBytes(n int) []byte {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	p := make([]byte, n)
	_, _ = rand.NewChaCha8(seed).Read(p)
	return p
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantTree fails the test unless dir holds exactly these paths, in order.
func wantTree(t testing.TB, dir string, want ...string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if path != dir {
			got = append(got, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Fatalf("%s holds %q, want %q (%v)", dir, got, want, err)
	}
}

// wantError fails the test unless err is target and says text.
func wantError(t testing.TB, err, target error, text string) {
	t.Helper()
	if !errors.Is(err, target) || !strings.Contains(err.Error(), text) {
		t.Fatalf("error is %v, want %v with %q", err, target, text)
	}
}

func wantAs[E error](t testing.TB, err error, target *E) {
	t.Helper()
	if !errors.As(err, target) {
		t.Fatalf("error is %v, want a %T", err, *target)
	}
}
