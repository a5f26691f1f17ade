package clusterstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/clusterstore"
	"github.com/streamflow/streamflow/store/s3store"
)

const mib = 1 << 20

// A fleet is nodes over one bucket. They share nothing else.
type fleet struct {
	*testing.T
	gateway *s3test.Gateway
	bucket  string
	mem     *memory.Manager
	nodes   []*clusterstore.Store
}

func newFleet(t *testing.T, nodes int) *fleet {
	t.Helper()
	f := &fleet{T: t, gateway: s3test.Start(t, false), mem: newMemory(t, 64<<20)}
	f.bucket = newBucket(t, f.gateway)
	for range nodes {
		f.join()
	}
	return f
}

// join adds a node, as a process that begins.
func (f *fleet) join() *clusterstore.Store {
	f.Helper()
	st := open(f.T, f.gateway, f.bucket, f.mem)
	f.nodes = append(f.nodes, st)
	return st
}

func (f *fleet) begin(node int, length int64) (store.Upload, store.Info) {
	f.Helper()
	u, info, err := f.nodes[node].Create(f.Context(), store.Spec{Name: "x.txt", Length: length})
	check(f.T, err)
	return u, info
}

func (f *fleet) take(node int, id string) (store.Upload, store.Info) {
	f.Helper()
	u, info, err := f.nodes[node].Open(f.Context(), id)
	check(f.T, err)
	return u, info
}

func (f *fleet) write(u store.Upload, off int64, p []byte) {
	f.Helper()
	n, err := u.Write(f.Context(), off, bytes.NewReader(p), int64(len(p)))
	check(f.T, err)
	if n != int64(len(p)) {
		f.Fatalf("%d of %d bytes are acknowledged", n, len(p))
	}
}

func (f *fleet) finish(u store.Upload, want []byte) store.Info {
	f.Helper()
	info, err := u.Finish(f.Context(), store.Sum{})
	check(f.T, err)
	got, err := os.ReadFile(f.gateway.Path(f.T, info.Location))
	check(f.T, err)
	if !bytes.Equal(got, want) {
		f.Fatalf("%d bytes came, and aren't the %d that were sent", len(got), len(want))
	}
	return info
}

// files are what is in the bucket, parts of multipart uploads included.
func (f *fleet) files() []string {
	f.Helper()
	var files []string
	root := filepath.Join(f.gateway.Dir, f.bucket)
	check(f.T, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == ".vgwlocks" {
			return fs.SkipDir // the gateway's own
		}
		if err == nil && !d.IsDir() {
			files = append(files, strings.TrimPrefix(path, root+"/"))
		}
		return err
	}))
	return files
}

// only fails the test if there is more in the bucket than finished uploads.
func (f *fleet) only(infos ...store.Info) {
	f.Helper()
	expected := make(map[string]bool)
	for _, info := range infos {
		expected[prefix+"/"+info.ID] = true
		expected[prefix+"/.streamflow/finished/"+info.ID] = true
	}
	for _, file := range f.files() {
		if !expected[file] {
			f.Errorf("left is %s", file)
		}
	}
}

func random(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(p)
	return p
}

// TestHop: each write is another node's.
func TestHop(t *testing.T) {
	for name, sizes := range map[string][]int{
		"small writes":           {1, 1000, 100_000, 1, 1000, 300_000, 5},
		"parts":                  {9 * mib, 6 * mib, 13 * mib, 5 * mib, 7 * mib},
		"parts and small writes": {6 * mib, 1, 6 * mib, 100, 3 * mib, 3 * mib, 8 * mib, 1},
		"parts behind tails":     {4 * mib, 4 * mib, 4 * mib, 4 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 3)
			var data []byte
			for i, n := range sizes {
				data = append(data, bytes.Repeat([]byte{byte('a' + i)}, n)...)
			}
			_, info := f.begin(0, int64(len(data)))
			off := int64(0)
			for i, n := range sizes {
				u, info := f.take(i%3, info.ID)
				if info.Offset != off {
					t.Fatalf("offset is %d, want %d", info.Offset, off)
				}
				f.write(u, off, data[off:off+int64(n)])
				off += int64(n)
			}
			u, _ := f.take(2, info.ID)
			f.only(f.finish(u, data))
			f.finish(u, data)
			again, _ := f.take(1, info.ID)
			f.finish(again, data)
		})
	}
}

// TestOldNode: what a node that was taken over still sends changes nothing, and is
// gone in the end.
func TestOldNode(t *testing.T) {
	for name, size := range map[string]int{"tails": 1000, "parts": 7 * mib} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2)
			data, late := random(3*size), bytes.Repeat([]byte("late"), size)[:size]
			old, info := f.begin(0, int64(3*size))
			f.write(old, 0, data[:size])

			sent, goOn := make(chan struct{}), make(chan struct{})
			r := io.MultiReader(bytes.NewReader(late[:size/2]), waiting(func() { close(sent); <-goOn }), bytes.NewReader(late[size/2:]))
			ended := make(chan error)
			go func() {
				_, err := old.Write(t.Context(), int64(size), r, int64(size))
				ended <- err
			}()
			<-sent
			u, taken := f.take(1, info.ID)
			if taken.Offset != int64(size) {
				t.Fatalf("offset is %d", taken.Offset)
			}
			f.write(u, int64(size), data[size:2*size])
			close(goOn)
			wants(t, <-ended, store.ErrSuperseded)
			_, err := old.Write(t.Context(), int64(2*size), bytes.NewReader(late), int64(size))
			wants(t, err, store.ErrSuperseded)
			wants(t, old.SetLength(t.Context(), 1), store.ErrSuperseded)
			_, err = old.Finish(t.Context(), store.Sum{})
			wants(t, err, store.ErrSuperseded)
			f.write(u, int64(2*size), data[2*size:])
			f.only(f.finish(u, data))
		})
	}
}

// waiting is a reader of nothing that does something first.
type waiting func()

func (w waiting) Read([]byte) (int, error) {
	w()
	return 0, io.EOF
}

// TestSmallWrites: many of them cost the bucket a bounded number of objects, and
// the state stays short.
func TestSmallWrites(t *testing.T) {
	const size, count = 4000, 150
	f := newFleet(t, 1)
	data := random(size * count)
	u, info := f.begin(0, int64(len(data)))
	for i := range count {
		f.write(u, int64(i*size), data[i*size:(i+1)*size])
		if n := len(f.files()); n > 12 {
			t.Fatalf("after %d writes there are %d objects", i, n)
		}
	}
	state, err := os.ReadFile(filepath.Join(f.gateway.Dir, f.bucket, prefix, ".streamflow/uploads", info.ID))
	check(t, err)
	if len(state) > 2000 {
		t.Errorf("the state has %d bytes", len(state))
	}
	f.only(f.finish(u, data))
}

// TestBreaksOff: a body that breaks off in each of its parts gets on nevertheless,
// and loses no more than one part.
func TestBreaksOff(t *testing.T) {
	f := newFleet(t, 1)
	data := random(30 * mib)
	u, info := f.begin(0, int64(len(data)))
	sent := int64(0)
	for info.Offset < info.Length {
		broken := errors.New("broken")
		end := min(info.Offset+3*mib, info.Length)
		r := io.MultiReader(bytes.NewReader(data[info.Offset:end]), failing{broken})
		sent += end - info.Offset
		n, err := u.Write(t.Context(), info.Offset, r, info.Length-info.Offset)
		if end < info.Length {
			wants(t, err, broken)
		}
		var now store.Info
		u, now = f.take(0, info.ID)
		if now.Offset != info.Offset+n {
			t.Fatalf("%d bytes acknowledged from %d, then the offset is %d", n, info.Offset, now.Offset)
		}
		info = now
	}
	if sent > info.Length+8*mib {
		t.Errorf("%d bytes were sent for %d", sent, info.Length)
	}
	f.only(f.finish(u, data))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// beginMultipart leaves a part of a multipart upload of any key.
func (f *fleet) beginMultipart(prefix, name string) {
	f.Helper()
	opts := f.gateway.Options(f.T)
	st, err := s3store.Open(f.bucket, prefix, f.mem, &opts)
	check(f.T, err)
	u, _, err := st.Create(f.Context(), store.Spec{Name: name, Length: 6 * mib})
	check(f.T, err)
	_, err = u.Write(f.Context(), 0, bytes.NewReader(random(5*mib)), 5*mib)
	check(f.T, errors.Join(err, st.Close()))
}

// TestOrphans: what a dead node left is removed once it is old, and nothing else.
func TestOrphans(t *testing.T) {
	f := newFleet(t, 1)
	data := random(14 * mib)
	u, _ := f.begin(0, int64(len(data)))
	f.write(u, 0, data[:7*mib])
	tail, tailInfo := f.begin(0, 10)
	f.write(tail, 0, []byte("01234"))
	done, _ := f.begin(0, 0)
	doneInfo := f.finish(done, nil)

	_, gone := f.begin(0, 100)
	dir := filepath.Join(f.gateway.Dir, f.bucket, prefix, ".streamflow")
	for _, id := range []string{tailInfo.ID, gone.ID} {
		check(t, os.MkdirAll(filepath.Join(dir, "data", id), 0o755))
		check(t, os.WriteFile(filepath.Join(dir, "data", id, "LEFT"), data[:10], 0o644))
	}
	check(t, os.Remove(filepath.Join(dir, "uploads", gone.ID)))
	f.beginMultipart(prefix+"/.streamflow/uploads", tailInfo.ID)
	before := len(f.files())
	if n, err := f.nodes[0].RemoveOrphans(t.Context(), time.Now().Add(-time.Hour)); n != 0 || err != nil {
		t.Errorf("removed %d that are new, %v", n, err)
	}
	if n, err := f.nodes[0].RemoveOrphans(t.Context(), time.Now().Add(time.Hour)); n != 3 || err != nil {
		t.Errorf("removed %d orphans, %v", n, err)
	}
	if after := len(f.files()); after != before-3 {
		t.Errorf("of %d files %d are left", before, after)
	}
	f.write(u, 7*mib, data[7*mib:])
	f.write(tail, 5, []byte("56789"))
	f.only(f.finish(u, data), f.finish(tail, []byte("0123456789")), doneInfo)
}

// TestAbortElsewhere: the other node hears of it, and nothing is left.
func TestAbortElsewhere(t *testing.T) {
	f := newFleet(t, 2)
	for name, size := range map[string]int{"tail": 10, "parts": 6 * mib} {
		t.Run(name, func(t *testing.T) {
			u, info := f.begin(0, int64(2*size))
			f.write(u, 0, random(size))
			other, _ := f.take(1, info.ID)
			f.write(other, int64(size), random(size)[:size/2])
			check(t, other.Abort(t.Context()))
			_, err := u.Write(t.Context(), int64(size), bytes.NewReader(random(size)), int64(size))
			if !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrSuperseded) {
				t.Errorf("error is %v", err)
			}
			f.only()
		})
	}
}

// TestAbortOvertaken: what another node has done since the upload was opened isn't
// discarded.
func TestAbortOvertaken(t *testing.T) {
	f := newFleet(t, 2)
	data := []byte("0123456789")
	for name, then := range map[string]func(u store.Upload){
		"taken over": func(store.Upload) {},
		"more came":  func(u store.Upload) { f.write(u, 5, data[5:]) },
		"finished":   func(u store.Upload) { f.write(u, 5, data[5:]); f.finish(u, data) },
	} {
		t.Run(name, func(t *testing.T) {
			old, info := f.begin(0, 10)
			f.write(old, 0, data[:5])
			u, _ := f.take(1, info.ID)
			then(u)
			before, err := f.nodes[1].Stat(t.Context(), info.ID)
			check(t, err)
			wants(t, old.Abort(t.Context()), store.ErrSuperseded)
			after, err := f.nodes[1].Stat(t.Context(), info.ID)
			check(t, err)
			if after.Offset != before.Offset || after.Complete != before.Complete {
				t.Errorf("it was %+v and is %+v", before, after)
			}
			check(t, u.Abort(t.Context()))
			f.only()
		})
	}
}

// TestFinishTwice: two nodes finish at the same time.
func TestFinishTwice(t *testing.T) {
	for name, size := range map[string]int{"tail": 10, "part": 6 * mib, "parts": 20 * mib} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 3)
			data := random(size)
			u, info := f.begin(0, int64(size))
			f.write(u, 0, data[:size/2])
			u, _ = f.take(1, info.ID)
			f.write(u, int64(size/2), data[size/2:])
			errs := make(chan error)
			for node := range 3 {
				go func() {
					u, _, err := f.nodes[node].Open(t.Context(), info.ID)
					if err == nil {
						_, err = u.Finish(t.Context(), store.Sum{})
					}
					errs <- err
				}()
			}
			for range 3 {
				if err := <-errs; err != nil && !errors.Is(err, store.ErrSuperseded) && !isTransient(err) {
					t.Errorf("finish: %v", err)
				}
			}
			u, _ = f.take(0, info.ID)
			done := f.finish(u, data)
			// The gateway keeps a copy that comes after the end of its upload.
			check(t, os.RemoveAll(filepath.Join(f.gateway.Dir, f.bucket, ".sgwtmp")))
			f.only(done)
		})
	}
}

func isTransient(err error) bool {
	var transient *store.TransientError
	return errors.As(err, &transient)
}

// TestAnyOperations does random things to a few uploads on random nodes, some of
// which begin anew, and compares with what was acknowledged.
func TestAnyOperations(t *testing.T) {
	f := newFleet(t, 3)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var done []store.Info
	for upload := range 4 {
		done = append(done, f.live(random, byte(upload)))
	}
	f.only(done...)
}

// live is the life of one upload.
func (f *fleet) live(random *rand.Rand, name byte) store.Info {
	data := make([]byte, random.IntN(20*mib))
	_, _ = rand.NewChaCha8([32]byte{name}).Read(data)
	length := int64(len(data))
	declared := length
	if random.IntN(2) == 0 {
		declared = store.UnknownLength
	}
	u, info, err := f.nodes[random.IntN(3)].Create(f.Context(), store.Spec{Length: declared, Readable: random.IntN(2) == 0})
	check(f.T, err)
	for off := int64(0); off < length; {
		switch random.IntN(6) {
		case 0:
			f.nodes[random.IntN(3)] = open(f.T, f.gateway, f.bucket, f.mem) // and the old one has died
			fallthrough
		case 1, 2:
			u, info = f.take(random.IntN(3), info.ID)
		case 3:
			check(f.T, f.verify(u, off, data, random))
		}
		if info, err = u.Info(f.Context()); err != nil || info.Offset < off {
			f.Fatalf("offset was %d and is %d, %v", off, info.Offset, err)
		}
		off = info.Offset
		n := min(int64(1)<<random.IntN(24), length-off)
		size, broken := n, random.IntN(4) == 0
		var r io.Reader = bytes.NewReader(data[off : off+n])
		if broken {
			size = min(2*n+1, length-off)
			r = io.MultiReader(r, failing{errors.New("broken")})
		}
		if random.IntN(3) == 0 {
			size = store.UnknownLength
		}
		acknowledged, err := u.Write(f.Context(), off, r, size)
		if err != nil && !broken || err == nil && acknowledged != n {
			f.Fatalf("%d of %d bytes acknowledged at %d: %v", acknowledged, n, off, err)
		}
		off += acknowledged
	}
	u, info = f.take(random.IntN(3), info.ID)
	if info.Length == store.UnknownLength {
		check(f.T, u.SetLength(f.Context(), length))
	}
	return f.finish(u, data)
}

// verify writes a unit that fails its check, so that nothing of it counts.
func (f *fleet) verify(u store.Upload, off int64, data []byte, random *rand.Rand) error {
	wrong := make([]byte, min(int64(random.IntN(10*mib)), int64(len(data))-off))
	differs := errors.New("differs")
	_, err := u.(store.Verifier).WriteVerified(f.Context(), off, bytes.NewReader(wrong), int64(len(wrong)), func() error { return differs })
	if !errors.Is(err, differs) {
		return fmt.Errorf("verified: %w", err)
	}
	return nil
}

// TestConcatenateOddSizes: what is too small to be copied takes some of what
// follows along.
func TestConcatenateOddSizes(t *testing.T) {
	f := newFleet(t, 1)
	for name, sizes := range map[string][]int{
		"small then large":  {1 * mib, 17 * mib},
		"large then small":  {12 * mib, 1 * mib},
		"small around":      {1, 11 * mib, 2 * mib, 2 * mib, 9 * mib, 3},
		"all of them small": {1000, 0, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fleet{T: t, gateway: f.gateway, bucket: f.bucket, mem: f.mem, nodes: f.nodes}
			var data []byte
			var ids []string
			for _, n := range sizes {
				u, info, err := f.nodes[0].Create(t.Context(), store.Spec{Length: int64(n), Readable: true})
				check(t, err)
				f.write(u, 0, random(n))
				data, ids = append(data, random(n)...), append(ids, info.ID)
			}
			u, _, err := f.nodes[0].Concatenate(t.Context(), store.Spec{}, ids)
			check(t, err)
			f.finish(u, data)
		})
	}
}
