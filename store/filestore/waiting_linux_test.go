package filestore_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// A slow source gives what it is told to, and waits in between.
type slow struct {
	pieces chan []byte   // closed at the end
	asked  chan struct{} // one for each time it has nothing more
	rest   []byte
}

func newSlow() *slow { return &slow{pieces: make(chan []byte), asked: make(chan struct{}, 1)} }

func (s *slow) Read(p []byte) (int, error) {
	for len(s.rest) == 0 {
		s.asked <- struct{}{}
		piece, ok := <-s.pieces
		if !ok {
			return 0, io.EOF
		}
		s.rest = piece
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// send returns when the piece was read and the source is asked for more.
func (s *slow) send(piece []byte) {
	s.pieces <- piece
	<-s.asked
}

// A writing is a Write of a slow source under way.
type writing struct {
	*slow
	up   store.Upload
	info store.Info
	err  chan error
}

func startWriting(t *testing.T, s store.Store, length int64) *writing {
	t.Helper()
	up, info, err := s.Create(t.Context(), store.Spec{Length: length})
	if err != nil {
		t.Fatal(err)
	}
	w := &writing{slow: newSlow(), up: up, info: info, err: make(chan error, 1)}
	go func() {
		_, err := up.Write(context.WithoutCancel(t.Context()), 0, w.slow, store.UnknownLength)
		w.err <- err
	}()
	<-w.asked
	return w
}

func openFilesOf(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestWritesThatWaitTakeLittle(t *testing.T) {
	const writes, length = 400, 10_000
	mem := newMemory(t, 64<<20)
	s := openStore(t, t.TempDir(), mem, &filestore.Options{ByID: true})
	before := openFilesOf(t)
	var all []*writing
	for range writes {
		all = append(all, startWriting(t, s, length))
	}
	data := randomBytes(length)
	for _, part := range [][]byte{data[:1], data[1:1000], data[1000:9000]} {
		for _, w := range all {
			w.send(part)
		}
		if open := openFilesOf(t) - before; open > writes {
			t.Errorf("%d writes that wait have %d descriptors", writes, open)
		}
		if held := mem.Stats().Kinds[memory.KindTransfer].Bytes; held > writes*4<<10 {
			t.Errorf("%d writes that wait hold %d bytes", writes, held)
		}
	}
	for _, w := range all {
		w.send(data[9000:])
		close(w.pieces)
		if err := <-w.err; err != nil {
			t.Fatal(err)
		}
		info, err := w.up.Finish(t.Context(), store.Sum{})
		if err != nil {
			t.Fatal(err)
		}
		if stored, err := os.ReadFile(info.Location); err != nil || !bytes.Equal(stored, data) {
			t.Fatalf("stored %d bytes, %v", len(stored), err)
		}
	}
}

// Of Writes that have bytes and wait for the disk, few have files open.
func TestWritesThatQueueHoldNoFiles(t *testing.T) {
	const writes, pieces = 300, 5
	s := openStore(t, t.TempDir(), newMemory(t, 64<<20), &filestore.Options{ByID: true})
	ups := make([]store.Upload, writes)
	for i := range ups {
		var err error
		if ups[i], _, err = s.Create(t.Context(), store.Spec{Length: pieces}); err != nil {
			t.Fatal(err)
		}
	}
	defer filestore.SlowDisk(s)()
	before, most := openFilesOf(t), 0
	done := make(chan error)
	for _, up := range ups {
		go func() {
			content := iotest.OneByteReader(bytes.NewReader(make([]byte, pieces)))
			_, err := up.Write(context.WithoutCancel(t.Context()), 0, content, pieces)
			done <- err
		}()
	}
	for left := writes; left > 0; most = max(most, openFilesOf(t)-before) {
		select {
		case err := <-done:
			if left--; err != nil {
				t.Error(err)
			}
		default:
		}
	}
	if bound := writes * 2; most > bound {
		t.Errorf("%d writes have %d descriptors, want at most %d", writes, most, bound)
	}
}

// Files stay open between two changes, but not those of every upload, nor after the
// store.
func TestFewFilesAreKept(t *testing.T) {
	const uploads, kept = 300, 128
	before := openFilesOf(t)
	s, err := filestore.Open(t.TempDir(), newMemory(t, 1<<20), &filestore.Options{ByID: true})
	if err != nil {
		t.Fatal(err)
	}
	for range uploads {
		write(t, create(t, s, store.Spec{Length: 10}), 0, randomBytes(5))
	}
	if open := openFilesOf(t) - before; open < kept || open > 2*kept+10 {
		t.Errorf("%d uploads that nobody writes have %d descriptors", uploads, open)
	}
	long := create(t, s, store.Spec{Length: 10, Metadata: map[string]string{"k": strings.Repeat("v", 2000)}})
	few := openFilesOf(t)
	write(t, long, 0, randomBytes(5))
	if open := openFilesOf(t); open > few {
		t.Errorf("an upload with much to say keeps %d descriptors", open-few)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if left := openFilesOf(t) - before; left > 0 {
		t.Errorf("a closed store has %d descriptors", left)
	}
}

// What a Write that waits has read is there for who takes the upload over.
func TestTakeoverKeepsWhatWasRead(t *testing.T) {
	for name, opts := range map[string]*filestore.Options{"logged": {ByID: true}, "synced": {ByID: true, SyncAcks: true}} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, t.TempDir(), newMemory(t, 1<<20), opts)
			w := startWriting(t, s, 10_000)
			w.send(randomBytes(700))
			w.send(randomBytes(5000))
			_, info, err := s.Open(t.Context(), w.info.ID)
			if err != nil || info.Offset != 5700 {
				t.Errorf("taken over at %d, want 5700: %v", info.Offset, err)
			}
			close(w.pieces)
			wantError(t, <-w.err, store.ErrSuperseded, "")
		})
	}
}

// While the files of a Write that waits are closed another process may take
// the upload over; then they are not the Write's any more.
func TestTakeoverOfClosedFiles(t *testing.T) {
	dir, mem := t.TempDir(), newMemory(t, 16<<20)
	s := openStore(t, dir, mem, &filestore.Options{ByID: true})
	w := startWriting(t, s, 10_000)
	w.send(randomBytes(700))
	var others []*writing
	for range 200 {
		others = append(others, startWriting(t, s, 1))
	}
	other := openStore(t, dir, mem, &filestore.Options{ByID: true})
	up, _, err := other.Open(t.Context(), w.info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := up.Write(t.Context(), 0, bytes.NewReader(make([]byte, 900)), 900); err != nil {
		t.Fatal(err)
	}
	w.pieces <- randomBytes(700)
	wantError(t, <-w.err, store.ErrSuperseded, "")
	if info, err := up.Info(t.Context()); err != nil || info.Offset != 900 {
		t.Errorf("the offset is %d, want 900: %v", info.Offset, err)
	}
	for _, o := range others {
		close(o.pieces)
		if err := <-o.err; err != nil {
			t.Error(err)
		}
	}
}
