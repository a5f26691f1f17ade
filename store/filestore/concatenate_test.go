package filestore_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// The bytes of a concatenation go from file to file, not through this process.
func TestMemoryOfConcatenate(t *testing.T) {
	const length = 32 << 20
	dir := t.TempDir()
	u := create(t, openStore(t, dir, newMemory(t, 1<<20), nil), store.Spec{Name: "part", Length: length})
	data := randomBytes(length)
	write(t, u, 0, data)

	mem := newMemory(t, 1<<20)
	s := openStore(t, dir, mem, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	id := infoOf(t, u).ID
	whole, info, err := s.Concatenate(t.Context(), store.Spec{Name: "whole"}, []string{id, id})
	runtime.ReadMemStats(&after)
	if err != nil || info.Length != 2*length {
		t.Fatalf("info is %+v, %v", info, err)
	}
	if peak := mem.Stats().Peak; peak != 0 {
		t.Errorf("peak is %d bytes", peak)
	}
	if heap := after.TotalAlloc - before.TotalAlloc; heap > 256<<10 {
		t.Errorf("%d bytes of heap", heap)
	}
	both := slices.Concat(data, data)
	if info.Sum != sumOf(both) || !bytes.Equal(readFile(t, finish(t, whole, both).Location), both) {
		t.Error("the file is not the parts")
	}
}

// A part that was written again in pieces has no sum; the whole has.
func TestConcatenateWithoutSums(t *testing.T) {
	s := openStore(t, t.TempDir(), newMemory(t, 1<<20), &filestore.Options{ByID: true})
	data := randomBytes(100_000)
	u := create(t, s, store.Spec{Length: 100_000})
	write(t, u, 0, data)
	write(t, u, 5000, data[5000:70_000])
	part := infoOf(t, u)
	if part.Sum.Known {
		t.Fatal("the part has a sum: the test tests nothing")
	}
	whole, _, err := s.Concatenate(t.Context(), store.Spec{}, []string{part.ID, part.ID})
	if err != nil {
		t.Fatal(err)
	}
	both := slices.Concat(data, data)
	if info := finish(t, whole, both); info.Sum != sumOf(both) || !bytes.Equal(readFile(t, info.Location), both) {
		t.Errorf("info is %+v", info)
	}
}

// What a unit left behind that failed its check is not in the file.
func TestFailedCheckLeavesNothingBehindTheEnd(t *testing.T) {
	s := openStore(t, t.TempDir(), newMemory(t, 1<<20), nil)
	data := randomBytes(1000)
	u := create(t, s, store.Spec{Name: "f", Length: store.UnknownLength})
	write(t, u, 0, data)
	failure := errors.New("another sum")
	_, err := u.(store.Verifier).WriteVerified(t.Context(), 1000, bytes.NewReader(randomBytes(3<<20)), 3<<20, func() error { return failure })
	wantError(t, err, failure, "")
	if err := u.SetLength(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	info := finish(t, u, data)
	if !bytes.Equal(readFile(t, info.Location), data) {
		t.Error("the file is not the upload")
	}
}
