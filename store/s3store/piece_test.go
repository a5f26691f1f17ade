package s3store_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/s3store"
	"github.com/streamflow/streamflow/store/storetest"
)

const unit = 5 << 20

// Of four parts two are units and two are pieces of four units each.
var fewParts = s3store.Options{MaxParts: 4}

func random(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func TestStreamOutgrowsItsParts(t *testing.T) {
	gateway := s3test.Start(t, false)
	for name, size := range map[string]int{
		"within the parts": 2 * unit, "one unit more": 3 * unit, "a whole piece": 6 * unit,
		"two pieces": 7*unit + 3, "all there is room for": 10 * unit,
	} {
		t.Run(name, func(t *testing.T) {
			st := open(t, gateway, &fewParts)
			arrives(t, gateway, st, random(size))
		})
	}
}

// arrives sends data as a stream, after which the object is there and nothing else.
func arrives(t *testing.T, g *s3test.Gateway, st *s3store.Store, data []byte) {
	t.Helper()
	m, err := streamflow.New(st, nil)
	check(t, err)
	defer m.Close()
	u, err := m.Upload(t.Context(), streamflow.Stream("stream.bin", bytes.NewReader(data)))
	check(t, err)
	result, err := u.Wait(t.Context())
	check(t, err)
	onlyObject(t, g, st, result.Location, data)
}

func TestStreamBeyondAllParts(t *testing.T) {
	gateway := s3test.Start(t, false)
	for name, opts := range map[string]s3store.Options{"pieces": fewParts, "equal parts": {MaxParts: 4, EqualParts: true}} {
		t.Run(name, func(t *testing.T) {
			st := open(t, gateway, &opts)
			m, err := streamflow.New(st, nil)
			check(t, err)
			defer m.Close()
			u, err := m.Upload(t.Context(), streamflow.Stream("stream.bin", bytes.NewReader(random(10*unit+1))))
			check(t, err)
			_, err = u.Wait(t.Context())
			wants(t, err, store.ErrTooLarge)
			nothingBeside(t, gateway, st)
		})
	}
}

// TestPiecesAreFoundAgain: what a process left is aborted by another one that
// has the list only.
func TestPiecesAreFoundAgain(t *testing.T) {
	gateway := s3test.Start(t, false)
	st := open(t, gateway, &fewParts)
	u, _, err := st.Create(t.Context(), store.Spec{Name: "stream.bin", Length: store.UnknownLength, UnitBytes: unit})
	check(t, err)
	for _, at := range []int64{0, 1, 3, 2, 6} {
		_, err := u.Write(t.Context(), at*unit, bytes.NewReader(random(unit)), unit)
		check(t, err)
	}
	info, err := u.Info(t.Context())
	check(t, err)
	if info.Offset != 4*unit || len(info.Written) != 2 || info.Written[1] != (store.Range{Start: 6 * unit, End: 7 * unit}) {
		t.Errorf("info is %+v", info)
	}
	var found []store.Info
	for info, err := range st.Unfinished(t.Context(), time.Time{}) {
		check(t, err)
		found = append(found, info)
	}
	if len(found) != 1 || found[0].Name != "stream.bin" {
		t.Fatalf("unfinished are %+v", found)
	}
	listed, _, err := st.Open(t.Context(), found[0].ID)
	check(t, err)
	check(t, listed.Abort(t.Context()))
	nothingBeside(t, gateway, st)
}

// A spoiler answers the first request that it is for in place of the service, which may
// have carried it out.
type spoiler struct {
	http.Transport
	spoil func(r *http.Request, carryOut func() error) (*http.Response, error)
	is    func(r *http.Request) bool
	once  atomic.Bool
}

func (s *spoiler) RoundTrip(r *http.Request) (*http.Response, error) {
	if !s.is(r) || s.once.Swap(true) {
		return s.Transport.RoundTrip(r)
	}
	return s.spoil(r, func() error {
		resp, err := s.Transport.RoundTrip(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return errors.Join(err, resp.Body.Close())
	})
}

// TestJoiningIsDisturbed: one answer on the way from units to a part of the stream says
// nothing, or is an error that comes as a success.
func TestJoiningIsDisturbed(t *testing.T) {
	gateway := s3test.Start(t, false)
	ofPiece := func(method string) func(*http.Request) bool {
		return func(r *http.Request) bool {
			return r.Method == method && strings.Contains(r.URL.Path, "/.streamflow/") && !r.URL.Query().Has("uploads")
		}
	}
	isCopy := func(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" }
	lost := func(_ *http.Request, carryOut func() error) (*http.Response, error) {
		return nil, errors.Join(errors.New("the answer is lost"), carryOut())
	}
	failed := func(*http.Request, func() error) (*http.Response, error) {
		w := httptest.NewRecorder()
		_, _ = io.WriteString(w, "<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>")
		return w.Result(), nil
	}
	for name, s := range map[string]*spoiler{
		"a completion is lost": {is: ofPiece(http.MethodPost), spoil: lost},
		"a copy is lost":       {is: isCopy, spoil: lost},
		"a copy has failed":    {is: isCopy, spoil: failed},
		"a removal is lost":    {is: ofPiece(http.MethodDelete), spoil: lost},
	} {
		for end, size := range map[string]int{"in the middle": 7*unit + 3, "at the end": 4*unit + 3} {
			t.Run(name+" "+end, func(t *testing.T) {
				s := &spoiler{is: s.is, spoil: s.spoil}
				st := open(t, gateway, &s3store.Options{MaxParts: 4, Transport: s})
				arrives(t, gateway, st, random(size))
				if !s.once.Load() {
					t.Error("nothing was disturbed")
				}
			})
		}
	}
}

// A duringRead calls do once it is read.
type duringRead struct {
	io.Reader
	do func()
}

func (r *duringRead) Read(p []byte) (int, error) {
	if r.do != nil {
		r.do()
		r.do = nil
	}
	return r.Reader.Read(p)
}

// TestFullMemoryDoesNotHoldUpAPiece: while a piece's last unit is sent the memory
// runs full and somebody waits for more, who may wait for the unit's in turn. So
// the Write returns, and Finish joins the piece.
func TestFullMemoryDoesNotHoldUpAPiece(t *testing.T) {
	gateway, mem := s3test.Start(t, false), newMemory(t)
	st := openWithin(t, gateway, mem, &fewParts)
	u, _, err := st.Create(t.Context(), store.Spec{Name: "stream.bin", Length: store.UnknownLength, UnitBytes: unit})
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	release := func() {}
	data := random(6 * unit)
	for at := range 6 {
		r := &duringRead{Reader: bytes.NewReader(data[at*unit:][:unit])}
		if at == 5 {
			r.do = func() { release = storetest.Crowd(t, mem) }
		}
		_, err := u.Write(ctx, int64(at*unit), r, unit)
		check(t, err)
	}
	release()
	check(t, u.SetLength(ctx, 6*unit))
	info, err := u.Finish(ctx, store.Sum{CRC32C: checksum.Update(0, data), Known: true})
	check(t, err)
	onlyObject(t, gateway, st, info.Location, data)
}

// TestSendsInFullMemory: who holds what is sent may be who somebody waits for.
func TestSendsInFullMemory(t *testing.T) {
	gateway := s3test.Start(t, false)
	for name, send := range map[string]func(context.Context, *s3store.Store, store.Upload) error{
		"a unit": func(ctx context.Context, _ *s3store.Store, u store.Upload) error {
			_, err := u.Write(ctx, 0, strings.NewReader("all"), 3)
			return err
		},
		"an object": func(ctx context.Context, st *s3store.Store, _ store.Upload) error {
			_, err := st.Put(ctx, store.Spec{Name: "b", Length: 3}, strings.NewReader("all"), store.Sum{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem := newMemory(t)
			st := openWithin(t, gateway, mem, nil)
			u, _, err := st.Create(t.Context(), store.Spec{Name: "a", Length: 3})
			check(t, err)
			release := storetest.Crowd(t, mem)
			defer release()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := send(ctx, st, u); err != nil {
				t.Error(err)
			}
		})
	}
}

// onlyObject fails the test if the object isn't data, or anything is left beside it.
func onlyObject(t *testing.T, g *s3test.Gateway, st *s3store.Store, location string, data []byte) {
	t.Helper()
	got, err := os.ReadFile(g.Path(t, location))
	check(t, err)
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes came, and aren't the %d that were sent", len(got), len(data))
	}
	nothingBeside(t, g, st)
}

// nothingBeside fails the test if a piece or a part is left.
func nothingBeside(t *testing.T, g *s3test.Gateway, st *s3store.Store) {
	t.Helper()
	for info, err := range st.Unfinished(t.Context(), time.Time{}) {
		check(t, err)
		t.Errorf("left is the upload %+v", info)
	}
	check(t, filepath.WalkDir(g.Dir, func(path string, d os.DirEntry, err error) error {
		if d.IsDir() && d.Name() == ".vgwlocks" {
			return filepath.SkipDir // the gateway's own
		}
		if err == nil && !d.IsDir() && filepath.Base(path) != "stream.bin" {
			t.Errorf("left is %s", path)
		}
		return err
	}))
}
