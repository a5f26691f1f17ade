package filestore_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

func TestCrashInFinish(t *testing.T) {
	for _, byID := range []bool{false, true} {
		for steps := 1; steps <= 2; steps++ {
			t.Run(fmt.Sprintf("by id %v, after step %d", byID, steps), func(t *testing.T) {
				dir, mem, opts := t.TempDir(), newMemory(t, 1<<20), &filestore.Options{ByID: byID}
				data := randomBytes(100_000)
				u := create(t, openStore(t, dir, mem, opts), store.Spec{Name: "sub/f", Length: int64(len(data))})
				write(t, u, 0, data)
				if err := filestore.FinishSteps(t.Context(), u, steps); err != nil {
					t.Fatal(err)
				}

				s := openStore(t, dir, mem, opts)
				info, err := s.Stat(t.Context(), infoOf(t, u).ID)
				if err != nil || info.Offset != info.Length || info.Complete != (steps == 2) {
					t.Fatalf("after the crash: %+v, %v", info, err)
				}
				again := open(t, s, info.ID)
				for range 2 {
					if got := readFile(t, finish(t, again, data).Location); !bytes.Equal(got, data) {
						t.Fatal("the file is not the upload")
					}
				}
				if !byID {
					wantTree(t, dir, "sub", "sub/f")
				}
			})
		}
	}
}

func TestCrashInAbort(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		t.Run(fmt.Sprintf("finishing %v", sealed), func(t *testing.T) {
			dir, mem := t.TempDir(), newMemory(t, 1<<20)
			u := create(t, openStore(t, dir, mem, nil), store.Spec{Name: "f", Length: 10})
			write(t, u, 0, randomBytes(10))
			id := infoOf(t, u).ID
			if sealed {
				if err := filestore.FinishSteps(t.Context(), u, 1); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Remove(logPath(dir, id)); err != nil { // the first step
				t.Fatal(err)
			}
			_, err := openStore(t, dir, mem, nil).Stat(t.Context(), id)
			wantError(t, err, store.ErrNotFound, "")
			if err := u.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantTree(t, dir)
		})
	}
}

// A log that was being written anew leaves nothing behind.
func TestCrashInCompaction(t *testing.T) {
	for _, finished := range []bool{true, false} {
		t.Run(fmt.Sprintf("finished %v", finished), func(t *testing.T) {
			dir := t.TempDir()
			u := create(t, openStore(t, dir, newMemory(t, 1<<20), nil), store.Spec{Name: "f", Length: 3})
			write(t, u, 0, []byte("abc"))
			writeFile(t, logPath(dir, infoOf(t, u).ID)+durable.TempSuffix, []byte("half a l"))
			if finished {
				finish(t, u, []byte("abc"))
				wantTree(t, dir, "f")
				return
			}
			if err := u.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			wantTree(t, dir)
		})
	}
}

// After a reboot only what was synced counts.
func TestReboot(t *testing.T) {
	for name, c := range map[string]struct {
		opts filestore.Options
		want int64
	}{
		"acknowledgements in memory": {want: 0},
		"acknowledgements synced":    {opts: filestore.Options{SyncAcks: true}, want: 3000},
	} {
		t.Run(name, func(t *testing.T) {
			dir, data := t.TempDir(), randomBytes(5000)
			u := create(t, openInBoot(t, "one", dir, &c.opts), store.Spec{Name: "f", Length: 5000})
			write(t, u, 0, data[:3000])
			id := infoOf(t, u).ID

			same := openInBoot(t, "one", dir, &c.opts)
			if info, err := same.Stat(t.Context(), id); err != nil || info.Offset != 3000 {
				t.Fatalf("in the same boot: %+v, %v", info, err)
			}
			s := openInBoot(t, "two", dir, &c.opts)
			again := open(t, s, id)
			if got := infoOf(t, again).Offset; got != c.want {
				t.Fatalf("after a reboot the offset is %d, want %d", got, c.want)
			}
			write(t, again, c.want, data[c.want:4000])
			if got := infoOf(t, again).Offset; got != 4000 {
				t.Fatalf("offset is %d", got)
			}
			write(t, again, 4000, data[4000:])
			finish(t, again, data)
			if !bytes.Equal(readFile(t, filepath.Join(dir, "f")), data) {
				t.Fatal("the file is not the upload")
			}
		})
	}
}

// A file that has its name was synced before. Until then what was acknowledged as
// synced holds over a reboot, and a small upload of which all is there.
func TestRebootInFinish(t *testing.T) {
	for name, c := range map[string]struct {
		opts   filestore.Options
		length int64
		steps  int
		lose   bool // some of the bytes, but not of the file
		want   int64
	}{
		"sealed":         {length: 5000, steps: 1, want: 5000},
		"sealed, lost":   {length: 5000, steps: 1, lose: true, want: 0},
		"sealed, large":  {length: 2 << 20, steps: 1, want: 0},
		"sealed, synced": {opts: filestore.Options{SyncAcks: true}, length: 5000, steps: 1, want: 5000},
		"moved":          {length: 5000, steps: 2, want: 5000},
	} {
		t.Run(name, func(t *testing.T) {
			dir, data := t.TempDir(), randomBytes(int(c.length))
			u := create(t, openInBoot(t, "one", dir, &c.opts), store.Spec{Name: "f", Length: c.length})
			write(t, u, 0, data)
			if err := filestore.FinishSteps(t.Context(), u, c.steps); err != nil {
				t.Fatal(err)
			}
			id := infoOf(t, u).ID
			if c.lose {
				if err := zero(partPath(dir, id), 100); err != nil {
					t.Fatal(err)
				}
			}
			again := open(t, openInBoot(t, "two", dir, &c.opts), id)
			if got := infoOf(t, again).Offset; got != c.want {
				t.Fatalf("after a reboot the offset is %d, want %d", got, c.want)
			}
			if c.want == 0 {
				write(t, again, 0, data[:10])
				wantOffset(t, openInBoot(t, "two", dir, &c.opts), id, 10)
				write(t, again, 10, data[10:])
			}
			finish(t, again, data)
			wantTree(t, dir, "f")
		})
	}
}

// Without boot ids any opening may come after a reboot. A concatenation isn't synced
// before it is finished.
func TestRebootWithoutBootID(t *testing.T) {
	dir, data, opts := t.TempDir(), randomBytes(5000), &filestore.Options{SyncAcks: true}
	s := openInBoot(t, "", dir, opts)
	part := create(t, s, store.Spec{Name: "part", Length: 5000})
	write(t, part, 0, data)
	u, info, err := s.Concatenate(t.Context(), store.Spec{Name: "f"}, []string{infoOf(t, part).ID})
	if err != nil {
		t.Fatal(err)
	}
	if err := filestore.FinishSteps(t.Context(), u, 1); err != nil {
		t.Fatal(err)
	}
	if err := zero(partPath(dir, info.ID), 100); err != nil {
		t.Fatal(err)
	}
	again := openInBoot(t, "", dir, opts)
	wantOffset(t, again, info.ID, 0)
	write(t, open(t, again, info.ID), 0, data[:10])
	wantOffset(t, openInBoot(t, "", dir, opts), info.ID, 10)
}

// Whatever of the log is left, what it says is there, and the upload goes on.
func TestTornLog(t *testing.T) {
	dir, mem, data := t.TempDir(), newMemory(t, 1<<20), randomBytes(4000)
	u := create(t, openStore(t, dir, mem, nil), store.Spec{Name: "f", Length: 4000})
	for off := int64(0); off < 3000; off += 1000 {
		write(t, u, off, data[off:off+1000])
	}
	id := infoOf(t, u).ID
	log := logPath(dir, id)
	whole := readFile(t, log)
	begin := bytes.IndexByte(whole, '\n') + 1
	for cut := range whole {
		for _, tail := range []string{"", "garbage", "\n", "00000000 written 0 4000 -\n"} {
			writeFile(t, log, append(bytes.Clone(whole[:cut]), tail...))
			s := openStore(t, dir, mem, nil)
			info, err := s.Stat(t.Context(), id)
			if cut < begin && !(cut == begin-1 && tail == "\n") {
				wantError(t, err, store.ErrNotFound, "log")
				continue
			}
			records := bytes.Count(whole[:cut], []byte("\n")) - 1
			if cut > 0 && tail == "\n" && whole[cut] == '\n' {
				records++
			}
			if err != nil || info.Offset != int64(records)*1000 {
				t.Fatalf("cut at %d, then %q: offset %d of %d records, %v", cut, tail, info.Offset, records, err)
			}
			if cut%7 != 0 {
				continue
			}
			again := open(t, s, id)
			write(t, again, info.Offset, data[info.Offset:3500])
			if got := infoOf(t, again); got.Offset != 3500 || got.Sum != sumOf(data[:3500]) {
				t.Fatalf("cut at %d, then %q, then written on: %+v", cut, tail, got)
			}
		}
	}
}

// The part says what is there where the log says too much.
func TestShortPart(t *testing.T) {
	dir, data := t.TempDir(), randomBytes(4000)
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	u := create(t, s, store.Spec{Name: "f", Length: 4000})
	write(t, u, 0, data)
	id := infoOf(t, u).ID
	part := partPath(dir, id)
	if err := os.Truncate(part, 1500); err != nil {
		t.Fatal(err)
	}
	if got := infoOf(t, u).Offset; got != 1500 {
		t.Fatalf("offset is %d", got)
	}
	write(t, u, 1500, data[1500:])
	finish(t, u, data)

	lost := create(t, s, store.Spec{Name: "g", Length: 1})
	id = infoOf(t, lost).ID
	if err := os.Remove(partPath(dir, id)); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Open(t.Context(), id)
	wantError(t, err, store.ErrNotFound, "its bytes")
}

func TestLogStaysSmall(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, newMemory(t, 1<<20), nil)
	const units = 5000
	u := create(t, s, store.Spec{Name: "f", Length: 16 * units})
	data := randomBytes(16 * units)
	id := infoOf(t, u).ID
	largest := int64(0)
	for i := range units {
		write(t, u, int64(16*i), data[16*i:16*i+16])
		info, err := os.Stat(logPath(dir, id))
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if largest > 64<<10 {
		t.Errorf("the log grew to %d bytes", largest)
	}
	if got := infoOf(t, u); got.Sum != sumOf(data) {
		t.Errorf("sum is %v", got.Sum)
	}
	finish(t, u, data)
}

func FuzzReadLog(f *testing.F) {
	dir := f.TempDir()
	s := openStore(f, dir, newMemory(f, 1<<20), nil)
	u := create(f, s, store.Spec{Name: "a b\n\xff", Length: 3000, UnitBytes: 7, Metadata: map[string]string{"k": "v", "": "\x00"}})
	for _, off := range []int64{2000, 0, 500, 1000} {
		write(f, u, off, randomBytes(1000))
	}
	f.Add(withoutSums(readFile(f, logPath(dir, infoOf(f, u).ID))), true)
	if err := filestore.FinishSteps(f.Context(), u, 1); err != nil {
		f.Fatal(err)
	}
	f.Add(withoutSums(readFile(f, logPath(dir, infoOf(f, u).ID))), true)
	f.Add(readFile(f, logPath(dir, infoOf(f, u).ID)), false)
	f.Fuzz(func(t *testing.T, data []byte, sums bool) {
		if sums {
			// Only with the right sums does anything get past the first check.
			data = withSums(data)
		}
		info, valid, again, err := filestore.ReadLog(bytes.NewReader(data))
		if err != nil {
			return
		}
		if valid <= 0 || valid > int64(len(data)) || data[valid-1] != '\n' {
			t.Fatalf("%d of %d bytes are valid", valid, len(data))
		}
		last := info.Offset
		for i, r := range info.Written {
			if r.Start >= r.End || i > 0 && r.Start <= info.Written[i-1].End {
				t.Fatalf("ranges %v", info.Written)
			}
			last = r.End
		}
		if info.Offset > last {
			t.Fatalf("offset %d, ranges %v", info.Offset, info.Written)
		}
		second, valid, _, err := filestore.ReadLog(bytes.NewReader(again))
		if err != nil || valid != int64(len(again)) || fmt.Sprint(second) != fmt.Sprint(info) {
			t.Fatalf("%+v became %+v, %v", info, second, err)
		}
	})
}

func withoutSums(log []byte) []byte {
	var out []byte
	for line := range bytes.Lines(log) {
		out = append(out, line[len("00000000 "):]...)
	}
	return out
}

func withSums(lines []byte) []byte {
	var out []byte
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		out = fmt.Appendf(out, "%08x %s\n", sumOf(line).CRC32C, line)
	}
	return out
}

func openInBoot(t *testing.T, boot, dir string, opts *filestore.Options) *filestore.Store {
	t.Helper()
	s, err := filestore.OpenInBoot(boot, dir, newMemory(t, 1<<20), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// wantOffset fails the test unless that is what s, which knows only the files, says.
func wantOffset(t *testing.T, s *filestore.Store, id string, want int64) {
	t.Helper()
	if info, err := s.Stat(t.Context(), id); err != nil || info.Offset != want || info.Complete {
		t.Errorf("by the files: %+v, %v; want offset %d", info, err, want)
	}
}

func logPath(dir, id string) string { return filepath.Join(dir, ".streamflow", id+".log") }

func partPath(dir, id string) string { return filepath.Join(dir, ".streamflow", id+".part") }

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
