package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

// A putStore is a memStore that takes objects in one step, too.
type putStore struct {
	*memStore
	lose func() error // may lose the answer of a Put that went well
}

func newPutStore() *putStore {
	return &putStore{memStore: newMemStore(true), lose: func() error { return nil }}
}

func (s *putStore) Put(ctx context.Context, spec store.Spec, r io.Reader, sum store.Sum) (store.Info, error) {
	if err := s.before(ctx, "Put"); err != nil {
		return store.Info{}, err
	}
	data := make([]byte, spec.Length)
	if _, err := io.ReadFull(r, data); err != nil {
		return store.Info{}, fmt.Errorf("put: %w", err)
	}
	if sum.Known && sum.CRC32C != crcOf(data) {
		return store.Info{}, store.Transient(store.ErrChecksum)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	spec.Head = bytes.Clone(spec.Head) // of a buffer that goes
	s.specs = append(s.specs, spec)
	old := s.uploads[spec.Name]
	if spec.NoReplace && old != nil && old.info.ID != spec.ID {
		return store.Info{}, store.ErrExists
	}
	info := store.Info{Name: spec.Name, Length: spec.Length, Offset: spec.Length, Complete: true, Location: "mem:" + spec.Name, ID: spec.ID}
	s.uploads[spec.Name] = &memUpload{s: s.memStore, info: info, data: data}
	info.ID = ""
	return info, s.lose()
}

func TestPut(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096} {
		for source, stream := range map[string]bool{"file": false, "stream": true} {
			t.Run(fmt.Sprint(source, size), func(t *testing.T) {
				p, s := content(size), newPutStore()
				m := manager(t, s, streamflow.Options{ChunkBytes: 4096, StateDir: t.TempDir(), Destination: "there"})
				u := begin(t, m, p, stream)
				r := mustWait(t, u)
				mustEqual(t, object(t, s.memStore, "data.bin"), p)
				if r.Bytes != int64(size) || r.Sum != (store.Sum{CRC32C: crcOf(p), Known: true}) || r.ID != "" && !(stream && size == 4096) || r.Location != "mem:data.bin" {
					t.Errorf("result %+v", r)
				}
				if made := s.created; made != 0 && size < 4096 { // a stream of just a unit may go on
					t.Errorf("%d uploads were created", made)
				}
			})
		}
	}
}

// A destination that keeps media types hears how an object begins, but not what
// its ciphertext begins with.
func TestHead(t *testing.T) {
	sealed, _ := encrypted(t)
	for _, size := range []int{0, 300, 2000, 10_000} { // the last is no single unit
		for source, stream := range map[string]bool{"file": false, "stream": true} {
			for encoded, encoders := range map[string][]streamflow.Encoder{"": nil, "encrypted": {sealed}} {
				t.Run(fmt.Sprint(source, size, encoded), func(t *testing.T) {
					p, s := content(size), newPutStore()
					s.limits.ContentCoding = true
					m := manager(t, s, streamflow.Options{ChunkBytes: 4096, Encoders: encoders})
					mustWait(t, begin(t, m, p, stream))
					want := p[:min(size, 512)]
					if encoders != nil {
						want = nil
					}
					if got := s.specs[0].Head; !bytes.Equal(got, want) {
						t.Errorf("%d bytes, want %d", len(got), len(want))
					}
				})
			}
		}
	}
}

func TestLargerIsNotPut(t *testing.T) {
	p, s := content(4097), newPutStore()
	m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
	if r := mustWait(t, begin(t, m, p, false)); r.ID == "" {
		t.Error("it was put")
	}
	mustEqual(t, object(t, s.memStore, "data.bin"), p)
}

func TestPutEncoded(t *testing.T) {
	p, s := content(1000), newPutStore()
	sealed, decrypt := encrypted(t)
	m := manager(t, s, streamflow.Options{ChunkBytes: 4096, Encoders: []streamflow.Encoder{sealed}})
	mustWait(t, begin(t, m, p, false))
	mustEqual(t, decrypt(object(t, s.memStore, "data.bin.age")), p)
	if s.created != 0 {
		t.Error("it was not put")
	}
}

// An answer that is lost doesn't make one's own object another's.
func TestPutSurvivesEveryFailure(t *testing.T) {
	for source, stream := range map[string]bool{"file": false, "stream": true} {
		t.Run(source, func(t *testing.T) {
			for when, after := range map[string]bool{"before": false, "after": true} {
				t.Run(when, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newPutStore()
						var calls atomic.Int64
						fail := func() error {
							if calls.Add(1) <= 2 {
								return store.Transient(errBroken)
							}
							return nil
						}
						if after {
							s.lose = fail
						} else {
							s.before = func(context.Context, string) error { return fail() }
						}
						m := manager(t, s, streamflow.Options{ChunkBytes: 4096, NoReplace: true})
						p := content(1000)
						r := mustWait(t, begin(t, m, p, stream))
						mustEqual(t, object(t, s.memStore, "data.bin"), p)
						if r.Retries != 2 || r.Bytes != 1000 {
							t.Errorf("result %+v", r)
						}
					})
				})
			}
		})
	}
}

func TestPutReplacesNothing(t *testing.T) {
	s := newPutStore()
	m := manager(t, s, streamflow.Options{ChunkBytes: 4096, NoReplace: true})
	mustWait(t, begin(t, m, content(1000), false))
	if _, err := wait(t, begin(t, m, content(1001), false)); !errors.Is(err, store.ErrExists) {
		t.Errorf("error is %v", err)
	}
	mustEqual(t, object(t, s.memStore, "data.bin"), content(1000))
}

func TestPutOfWhatChanges(t *testing.T) {
	s := newPutStore()
	path := writeFile(t, content(1000))
	s.before = func(context.Context, string) error { // it was summed already
		return os.WriteFile(path, bytes.Repeat([]byte{'x'}, 1000), 0o600)
	}
	m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
	u, err := m.UploadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wait(t, u); !errors.Is(err, streamflow.ErrSourceChanged) || s.count() != 0 {
		t.Errorf("error is %v, with %d objects", err, s.count())
	}
}

// A changingReader changes a file once it is read, after all else has come to rest,
// and has nothing itself.
type changingReader struct{ path string }

func (r changingReader) Read([]byte) (int, error) {
	time.Sleep(time.Second)
	if err := os.WriteFile(r.path, []byte("shorter than it was"), 0o600); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// The file was found unchanged before it is read, but not any more once it was.
func TestPutOfWhatChangesWhileItIsEncoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, path := newPutStore(), writeFile(t, content(1000))
		sealed, _ := encrypted(t)
		changing := &brokenEncoder{sealed, func(r io.Reader) (io.Reader, error) {
			return sealed.Encode(io.MultiReader(r, changingReader{path}))
		}}
		m := manager(t, s, streamflow.Options{ChunkBytes: 4096, Encoders: []streamflow.Encoder{changing}})
		u, err := m.UploadFile(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := wait(t, u); !errors.Is(err, streamflow.ErrSourceChanged) || s.count() != 0 {
			t.Errorf("error is %v, with %d objects", err, s.count())
		}
	})
}

// An upload that an earlier process began in units goes on in units.
func TestPutLeavesUnfinishedAlone(t *testing.T) {
	p, s, path, state := content(6000), newPutStore(), "", t.TempDir()
	path = writeFile(t, p)
	s.before = func(_ context.Context, call string) error {
		if call == "Finish" {
			return errBroken
		}
		return nil
	}
	m := manager(t, s, streamflow.Options{ChunkBytes: 4096, Retries: -1, StateDir: state, Destination: "there"})
	u, err := m.UploadFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wait(t, u); !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	s.before = func(context.Context, string) error { return nil }
	m = manager(t, s, streamflow.Options{ChunkBytes: 8192, StateDir: state, Destination: "there"})
	if u, err = m.UploadFile(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if r := mustWait(t, u); r.ResumedBytes != 6000 || !strings.HasPrefix(r.ID, "upload-") {
		t.Errorf("result %+v", r)
	}
	if left, err := os.ReadDir(state); err != nil || len(left) > 0 && strings.HasSuffix(left[0].Name(), ".json") {
		t.Errorf("the journal has %v, %v", left, err)
	}
}
