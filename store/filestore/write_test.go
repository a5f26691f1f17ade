package filestore_test

import (
	"bufio"
	"bytes"
	"context"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// A size of 1 GiB goes through one transfer buffer, and nothing else of size.
func TestMemoryOfWrite(t *testing.T) {
	const length = 1 << 30
	dir, mem := t.TempDir(), newMemory(t, 16<<20)
	s := openStore(t, dir, mem, nil)
	u := create(t, s, store.Spec{Name: "f", Length: length})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, err := u.Write(t.Context(), 0, io.LimitReader(zeros{}, length), length)
	runtime.ReadMemStats(&after)
	if err != nil || n != length {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
	stats := mem.Stats()
	if stats.Peak == 0 || stats.Peak > 2*256<<10 || stats.Kinds[memory.KindTransfer].Active != 0 {
		t.Errorf("peak is %d bytes, %d buffers are still held", stats.Peak, stats.Kinds[memory.KindTransfer].Active)
	}
	// Under the race detector the transfer buffer itself lies on the heap.
	if heap := after.TotalAlloc - before.TotalAlloc; heap > 1<<20+256<<10 {
		t.Errorf("%d bytes of heap for one Write", heap)
	}
	if err := u.Abort(t.Context()); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A source that has bytes at once is read in large pieces, also behind the 4 KiB that
// net/http reads of a body ahead.
func TestBurstsAreRead(t *testing.T) {
	const size = 8 << 20
	u := create(t, openStore(t, t.TempDir(), newMemory(t, 16<<20), nil), store.Spec{Name: "f", Length: size})
	source := &counted{}
	if n, err := u.Write(t.Context(), 0, bufio.NewReaderSize(source, 4<<10), size); n != size || err != nil {
		t.Fatalf("wrote %d bytes: %v", n, err)
	}
	if most := size / (128 << 10); source.reads > most {
		t.Errorf("%d bytes were read in %d pieces, want at most %d", size, source.reads, most)
	}
}

type counted struct {
	zeros
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return c.zeros.Read(p)
}

// Where less memory is to spare buffers are smaller, and a Write always gets one.
func TestMemoryPressure(t *testing.T) {
	for held, want := range map[int64]int{4 << 10: 256 << 10, 4 << 20: 64 << 10, 6 << 20: 16 << 10} {
		mem := newMemory(t, 6_600_000)
		s := openStore(t, t.TempDir(), mem, nil)
		ballast, err := mem.Reserve(t.Context(), memory.KindChunk, held)
		if err != nil {
			t.Fatal(err)
		}
		u := create(t, s, store.Spec{Name: "f", Length: 1 << 20})
		largest := 0
		r := &measured{r: bytes.NewReader(make([]byte, 1<<20)), largest: &largest}
		if _, err := u.Write(t.Context(), 0, r, 1<<20); err != nil {
			t.Fatal(err)
		}
		if largest != want {
			t.Errorf("with %d bytes held the buffer has %d bytes at level %v, want %d", held, largest, mem.Level(), want)
		}
		if err := ballast.Release(); err != nil {
			t.Fatal(err)
		}
	}
}

type measured struct {
	r       io.Reader
	largest *int
}

func (m *measured) Read(p []byte) (int, error) {
	*m.largest = max(*m.largest, len(p))
	return m.r.Read(p)
}

// A Finish that has to read the bytes has the turn and a place at the disk, for which those
// wait who have memory. So it must not wait for theirs.
func TestFinishWaitsForNoMemory(t *testing.T) {
	dir, mem := t.TempDir(), newMemory(t, 64<<10)
	u := create(t, openStore(t, dir, mem, nil), store.Spec{Name: "f", Length: 5000})
	data := randomBytes(5000)
	write(t, u, 0, randomBytes(5000))
	write(t, u, 0, data[:2500])
	write(t, u, 2500, data[2500:4000])
	write(t, u, 4000, data[4000:])
	write(t, u, 100, data[100:200])
	all, err := mem.TryAcquire(memory.KindChunk, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := u.Finish(ctx, sumOf(data)); err != nil {
		t.Error(err)
	}
}

// A Write whose upload goes away under it ends, and nothing is left.
func TestAbortUnderWrite(t *testing.T) {
	dir := t.TempDir()
	u := create(t, openStore(t, dir, newMemory(t, 1<<20), nil), store.Spec{Name: "f", Length: 1 << 20})
	r := &aborting{t: t, u: u}
	_, err := u.Write(t.Context(), 0, r, 1<<20)
	var transient *store.TransientError
	wantAs(t, err, &transient)
	_, err = u.Info(t.Context())
	wantError(t, err, store.ErrNotFound, "")
	wantTree(t, dir)
}

// aborting aborts an upload while it is read for it.
type aborting struct {
	t *testing.T
	u store.Upload
}

func (r *aborting) Read(p []byte) (int, error) {
	if err := r.u.Abort(r.t.Context()); err != nil {
		r.t.Error(err)
	}
	return len(p), nil
}

func BenchmarkWrite(b *testing.B) {
	const length = 256 << 20
	data := randomBytes(1 << 20)
	b.Run("filestore", func(b *testing.B) {
		s := openStore(b, b.TempDir(), newMemory(b, 16<<20), nil)
		b.SetBytes(length)
		for b.Loop() {
			u := create(b, s, store.Spec{Name: "f", Length: length})
			if _, err := u.Write(b.Context(), 0, &repeated{data: data}, length); err != nil {
				b.Fatal(err)
			}
			if err := u.Abort(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare pwrite and sum", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "f")
		buffer, table := make([]byte, 256<<10), crc32.MakeTable(crc32.Castagnoli)
		b.SetBytes(length)
		for b.Loop() {
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			r, sum := &repeated{data: data}, uint32(0)
			for off := int64(0); off < length; off += int64(len(buffer)) {
				_, _ = io.ReadFull(r, buffer)
				sum = crc32.Update(sum, table, buffer)
				if _, err := f.WriteAt(buffer, off); err != nil {
					b.Fatal(err)
				}
			}
			f.Close()
			os.Remove(path)
		}
	})
}

func BenchmarkSmallUpload(b *testing.B) {
	s := openStore(b, b.TempDir(), newMemory(b, 16<<20), nil)
	data := randomBytes(1 << 10)
	for b.Loop() {
		upload(b, s, "f", data)
	}
}

// repeated gives data for ever.
type repeated struct {
	data []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.data[r.at:])
	r.at = (r.at + n) % len(r.data)
	return n, nil
}
