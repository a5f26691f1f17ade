package streamflow_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/storetest"
	"github.com/streamflow/streamflow/store/tusstore"
)

// A site is a real destination, and where the finished objects are.
type site struct {
	store.Store
	path func(r streamflow.Result) string
}

// sites are the real destinations: what makes one for a test, by name.
var sites = map[string]func(t testing.TB, mem *memory.Manager) site{
	"filestore": func(t testing.TB, mem *memory.Manager) site {
		dst := openDir(t, t.TempDir(), mem, false)
		return site{dst, func(r streamflow.Result) string { return r.Location }}
	},
	"tusstore": func(t testing.TB, mem *memory.Manager) site {
		dir := t.TempDir()
		theirs := budget(t, 64<<20) // a server is another process
		h, err := server.New(openDir(t, dir, theirs, true), theirs, nil)
		if err != nil {
			t.Fatal(err)
		}
		web := httptest.NewServer(h)
		t.Cleanup(web.Close)
		dst, err := tusstore.Open(web.URL+"/files/", mem, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := dst.Close(); err != nil {
				t.Error(err)
			}
		})
		return site{dst, func(r streamflow.Result) string { return filepath.Join(dir, path.Base(r.Location)) }}
	},
}

func openDir(t testing.TB, dir string, mem *memory.Manager, byID bool) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(dir, mem, &filestore.Options{ByID: byID})
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

// mustHold checks that the object that r describes is p.
func (s site) mustHold(t testing.TB, r streamflow.Result, p []byte) {
	t.Helper()
	got, err := os.ReadFile(s.path(r))
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, got, p)
	if want := (store.Sum{CRC32C: crcOf(p), Known: true}); r.Sum != want || r.Bytes != int64(len(p)) {
		t.Errorf("result %+v", r)
	}
}

// eachSite runs f for files and streams to each real destination.
func eachSite(t *testing.T, f func(t *testing.T, open func(testing.TB, *memory.Manager) site, stream bool)) {
	for name, open := range sites {
		for source, stream := range map[string]bool{"file": false, "stream": true} {
			t.Run(name+"/"+source, func(t *testing.T) { f(t, open, stream) })
		}
	}
}

func TestRealStores(t *testing.T) {
	eachSite(t, func(t *testing.T, open func(testing.TB, *memory.Manager) site, stream bool) {
		mem := budget(t, 16<<20)
		s := open(t, mem)
		m := manager(t, s, streamflow.Options{ChunkBytes: 128 << 10, Memory: mem})
		for _, size := range []int{0, 1, 128 << 10, 1<<20 + 1} {
			p := content(size)
			s.mustHold(t, mustWait(t, begin(t, m, p, stream)), p)
		}
	})
}

func TestFaultAtEveryCall(t *testing.T) {
	faults := map[string]storetest.Fault{
		"fail":           {Effect: storetest.Fail},
		"fail part way":  {Effect: storetest.Fail, After: 70_000},
		"answer is lost": {Effect: storetest.Lost},
		"short":          {Effect: storetest.Short, After: 10_000},
	}
	ops := []storetest.Op{storetest.OpCreate, storetest.OpInfo, storetest.OpSetLength, storetest.OpWrite, storetest.OpFinish}
	p := content(400_000)
	eachSite(t, func(t *testing.T, open func(testing.TB, *memory.Manager) site, stream bool) {
		for name, fault := range faults {
			for _, op := range ops {
				if fault.After > 0 && op != storetest.OpWrite {
					continue
				}
				t.Run(name+"/"+string(op), func(t *testing.T) {
					t.Parallel()
					fault := fault
					fault.Op = op
					for fault.Call = 1; uploadWithFault(t, open, stream, p, fault); {
						fault.Call++
					}
				})
			}
		}
	})
}

// uploadWithFault reports whether the fault was met.
func uploadWithFault(t *testing.T, open func(testing.TB, *memory.Manager) site, stream bool, p []byte, fault storetest.Fault) bool {
	t.Helper()
	mem := budget(t, 16<<20)
	s := open(t, mem)
	faulty := storetest.NewFaulty(s, fault)
	m := manager(t, faulty, streamflow.Options{ChunkBytes: 100_000, Memory: mem})
	s.mustHold(t, mustWait(t, begin(t, m, p, stream)), p)
	return faulty.Calls(fault.Op) >= fault.Call
}

// TestRandomFaults goes on for a few seconds with several uploads at once.
func TestRandomFaults(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	end := time.Now().Add(5 * time.Second)
	eachSite(t, func(t *testing.T, open func(testing.TB, *memory.Manager) site, stream bool) {
		for worker := range uint64(3) {
			t.Run(fmt.Sprint(worker), func(t *testing.T) {
				t.Parallel()
				random := rand.New(rand.NewPCG(seed, worker))
				for time.Now().Before(end) {
					uploadWithRandomFaults(t, open, stream, random)
				}
			})
		}
	})
}

func uploadWithRandomFaults(t *testing.T, open func(testing.TB, *memory.Manager) site, stream bool, random *rand.Rand) {
	t.Helper()
	ops := []storetest.Op{storetest.OpCreate, storetest.OpInfo, storetest.OpWrite, storetest.OpWrite, storetest.OpFinish}
	effects := []storetest.Effect{storetest.Fail, storetest.Lost, storetest.Short, storetest.Fail}
	var plan []storetest.Fault
	for range random.IntN(4) {
		plan = append(plan, storetest.Fault{
			Op: ops[random.IntN(len(ops))], Call: 1 + random.IntN(5), Effect: effects[random.IntN(len(effects))],
			After: random.Int64N(200_000),
		})
	}
	p := content(random.IntN(1 << 20))
	mem := budget(t, 16<<20)
	s := open(t, mem)
	m := manager(t, storetest.NewFaulty(s, plan...), streamflow.Options{
		ChunkBytes: int64(4096 + random.IntN(300_000)), Streams: 1 + random.IntN(5), Memory: mem,
	})
	r, err := wait(t, begin(t, m, p, stream))
	if err != nil {
		t.Fatalf("%v; plan %+v", err, plan)
	}
	s.mustHold(t, r, p)
}

// The stores take their buffers from the same budget as the units: nothing may
// wait for what it holds itself.
func TestUnitsAndStoresShareASmallBudget(t *testing.T) {
	for name, open := range sites {
		t.Run(name, func(t *testing.T) {
			mem := budget(t, 4<<20)
			s := open(t, mem)
			m := manager(t, s, streamflow.Options{ChunkBytes: 1 << 20, Memory: mem})
			p := content(12 << 20)
			var all []*streamflow.Upload
			for i := range 4 {
				u, err := m.Upload(t.Context(), streamflow.Stream(fmt.Sprint(i), bytes.NewReader(p)))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, u)
			}
			for _, u := range all {
				s.mustHold(t, mustWait(t, u), p)
			}
			if peak := mem.Stats().Peak; peak > 4<<20 {
				t.Errorf("peak %d", peak)
			}
		})
	}
}

func TestStorm(t *testing.T) {
	eachSite(t, func(t *testing.T, open func(testing.TB, *memory.Manager) site, stream bool) {
		mem := budget(t, 16<<20)
		s := open(t, mem)
		m := manager(t, s, streamflow.Options{ChunkBytes: 64 << 10, Memory: mem, StateDir: t.TempDir(), Destination: "x"})
		p := content(4 << 20)
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				u := begin(t, m, p, stream)
				var storm sync.WaitGroup
				for range 2 {
					storm.Go(func() {
						for range 10 {
							u.Pause()
							_ = u.State()
							u.Resume()
						}
					})
				}
				if i%2 == 0 {
					storm.Go(func() {
						if err := u.Abort(t.Context()); err != nil && !errors.Is(err, streamflow.ErrFinished) {
							t.Error(err)
						}
					})
				}
				storm.Wait()
				r, err := wait(t, u)
				switch {
				case err == nil:
					s.mustHold(t, r, p)
				case i%2 != 0 || !errors.Is(err, streamflow.ErrAborted):
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestServerAwayFor30s(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := budget(t, 16<<20)
		s := sites["filestore"](t, mem)
		faulty := storetest.NewFaulty(s)
		m := manager(t, faulty, streamflow.Options{ChunkBytes: 64 << 10, Memory: mem})
		faulty.Kill()
		p := content(1 << 20)
		u := begin(t, m, p, false)
		time.Sleep(30 * time.Second)
		faulty.Revive()
		s.mustHold(t, mustWait(t, u), p)
	})
}

func TestResumeAtRealStores(t *testing.T) {
	for name, open := range sites {
		t.Run(name, func(t *testing.T) {
			mem := budget(t, 16<<20)
			s := open(t, mem)
			faulty := storetest.NewFaulty(s)
			opts := streamflow.Options{ChunkBytes: 64 << 10, Memory: mem, StateDir: t.TempDir(), Destination: name, Retries: -1}
			p := content(8 << 20)
			file := writeFile(t, p)
			first := manager(t, faulty, opts)
			u, err := first.UploadFile(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			for u.State().Bytes < 1<<20 {
				time.Sleep(time.Millisecond)
			}
			faulty.Kill()
			if _, err := wait(t, u); err == nil {
				t.Fatal("finished at a dead store")
			}
			u, err = manager(t, s, opts).UploadFile(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			r := mustWait(t, u)
			s.mustHold(t, r, p)
			if r.ResumedBytes == 0 || r.RestartReason != "" {
				t.Errorf("result %+v", r)
			}
		})
	}
}
