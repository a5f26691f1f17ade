package tusstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/tusstore"
)

const contentBytes = 5 << 20

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d requests of %x were served\n", i, i*7919%100003)
	}
	return b.Bytes()[:n]
}

// A tap counts what reaches a server, and may answer instead of it.
type tap struct {
	offer  *string // what OPTIONS says, where not nil
	refuse int     // the status that the next PATCH in gzip gets, or 0
	code   string  // of the problem in it

	mu                    sync.Mutex
	options, coded, plain int
	bytes                 int64 // of bodies as they were sent
}

func (p *tap) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.answers(w, r) {
			return
		}
		r.Body = &tappedBody{r.Body, p}
		h.ServeHTTP(w, r)
	})
}

func (p *tap) answers(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	coded := r.Header.Get("Content-Encoding") == tus.CodingGzip
	switch {
	case r.Method == "OPTIONS":
		if p.options++; p.offer != nil {
			w.Header().Set("Accept-Encoding", *p.offer)
			w.WriteHeader(http.StatusNoContent)
			return true
		}
	case r.Method == "PATCH" && coded:
		p.coded++
	case r.Method == "PATCH":
		p.plain++
	}
	if coded && p.refuse != 0 {
		w.Header().Set("Tus-Resumable", tus.Version)
		w.Header().Set("Content-Type", protocol.ProblemType)
		w.WriteHeader(p.refuse)
		_, _ = fmt.Fprintf(w, `{"code":%q}`, p.code)
		p.refuse = 0
		return true
	}
	return false
}

type tappedBody struct {
	io.ReadCloser
	tap *tap
}

func (b *tappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.tap.mu.Lock()
	defer b.tap.mu.Unlock()
	b.tap.bytes += int64(n)
	return n, err
}

func transient(err error) bool {
	_, is := errors.AsType[*store.TransientError](err)
	return is
}

// begin creates an upload that compresses, and counts in saved what that saves.
func begin(t *testing.T, st *tusstore.Store, length int64) (u store.Upload, id string, saved *int64) {
	t.Helper()
	u, info, err := st.Create(t.Context(), store.Spec{Name: "x", Length: length})
	if err != nil {
		t.Fatal(err)
	}
	saved = new(int64)
	if err := u.(store.Compressor).Compress(t.Context(), store.Gzip, func(n int64) { *saved += n }); err != nil {
		t.Fatal(err)
	}
	return u, info.ID, saved
}

func TestCompress(t *testing.T) {
	for name, c := range map[string]struct {
		data      []byte
		low, high float64 // of what is sent for it
		unknown   bool    // the Write isn't told how much comes
	}{
		"text":                 {data: text(contentBytes), low: 0.05, high: 0.5},
		"text of unknown size": {data: text(contentBytes), low: 0.05, high: 0.5, unknown: true},
		"noise":                {data: noise(contentBytes), low: 1, high: 1.001},
		"zeros":                {data: make([]byte, 64<<20), low: 1. / 256, high: 0.02},
		"text, noise, zeros":   {data: slices.Concat(text(6<<20), noise(6<<20), make([]byte, 6<<20)), low: 0.3, high: 0.6},
		"noise, then text":     {data: slices.Concat(noise(1<<20), text(15<<20)), low: 0.1, high: 0.6},
		"one piece":            {data: text(64 << 10), low: 0.05, high: 0.5},
		"a piece and a byte":   {data: text(64<<10 + 1), low: 0.05, high: 0.5},
		"little":               {data: text(100), low: 1, high: 1},
		"nothing":              {unknown: true},
	} {
		t.Run(name, func(t *testing.T) {
			var p tap
			files, url := startServer(t, p.wrap)
			size := int64(len(c.data))
			declared := size
			if c.unknown {
				declared = store.UnknownLength
			}
			u, id, saved := begin(t, open(t, url, nil), declared)
			if n, err := u.Write(t.Context(), 0, bytes.NewReader(c.data), declared); n != size || err != nil {
				t.Fatalf("wrote %d of %d: %v", n, size, err)
			}
			check(t, u.SetLength(t.Context(), size))
			if _, err := u.Finish(t.Context(), store.Sum{}); err != nil {
				t.Fatal(err)
			}
			compareStored(t, files, id, c.data)
			sent := float64(p.bytes)
			if size > 0 && (sent < c.low*float64(size) || sent > c.high*float64(size)) {
				t.Errorf("sent %.0f bytes for %d", sent, size)
			}
			if *saved != size-p.bytes {
				t.Errorf("saved %d, but sent %d for %d", *saved, p.bytes, size)
			}
		})
	}
}

// What was decoded before the connection broke stays, and the rest goes on from
// there in a stream of its own.
func TestCompressedWriteCut(t *testing.T) {
	data := slices.Concat(text(2<<20), noise(2<<20), text(2<<20))
	files, url := startServer(t, nil)
	p := startProxy(t, url[len("http://"):len(url)-len("/files/")])
	st := open(t, "http://"+p.address()+"/files/", nil)
	u, id, _ := begin(t, st, int64(len(data)))
	for cuts, off := 0, int64(0); ; cuts++ {
		p.left.Store(400 << 10)
		if cuts == 3 {
			p.left.Store(1 << 40)
		}
		n, err := u.Write(t.Context(), off, bytes.NewReader(data[off:]), int64(len(data))-off)
		if err == nil && off+n == int64(len(data)) {
			if cuts != 3 {
				t.Errorf("%d cuts, want 3", cuts)
			}
			break
		}
		if !transient(err) {
			t.Fatalf("cut %d: %v", cuts, err)
		}
		p.left.Store(1 << 40)
		info, err := u.Info(t.Context())
		if err != nil || info.Offset <= off {
			t.Fatalf("cut %d: offset %d after %d: %v", cuts, info.Offset, off, err)
		}
		off = info.Offset
	}
	if _, err := u.Finish(t.Context(), store.Sum{}); err != nil {
		t.Fatal(err)
	}
	compareStored(t, files, id, data)
}

// The source's error is the Write's, and what came before it is kept.
func TestCompressedSourceFails(t *testing.T) {
	data, failure := noise(1<<20), errors.New("disk is broken")
	for name, c := range map[string]struct {
		end  io.Reader
		want error
	}{
		"error":     {iotest.ErrReader(failure), failure},
		"too short": {bytes.NewReader(nil), io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			_, url := startServer(t, nil)
			u, _, _ := begin(t, open(t, url, nil), 2<<20)
			_, err := u.Write(t.Context(), 0, io.MultiReader(bytes.NewReader(data), c.end), 2<<20)
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v", err)
			}
			if info, err := u.Info(t.Context()); err != nil || info.Offset > 1<<20 {
				t.Errorf("offset %d, error %v", info.Offset, err)
			}
		})
	}
}

func TestServerThatTakesNoGzip(t *testing.T) {
	for offer, takes := range map[string]bool{
		"": false, "identity": false, "gzip;q=0, br": false, "gzip; q=0.0": false, "xgzip": false,
		"br, GZIP;q=0.5": true, "gzip": true,
	} {
		t.Run(offer, func(t *testing.T) {
			p := tap{offer: &offer}
			files, url := startServer(t, p.wrap)
			st := open(t, url, nil)
			data := text(100 << 10)
			for range 2 {
				u, info, err := st.Create(t.Context(), store.Spec{Name: "x", Length: int64(len(data))})
				if err != nil {
					t.Fatal(err)
				}
				err = u.(store.Compressor).Compress(t.Context(), store.Gzip, func(int64) {})
				if takes && err != nil || !takes && !errors.Is(err, store.ErrUnsupported) {
					t.Errorf("Compress: %v", err)
				}
				if _, err := u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data))); err != nil {
					t.Fatal(err)
				}
				compareStored(t, files, info.ID, data)
			}
			if (p.coded > 0) != takes || p.coded+p.plain != 2 || p.options != 1 {
				t.Errorf("%d in gzip, %d plain, asked %d times", p.coded, p.plain, p.options)
			}
		})
	}
}

// Where the server, or something before it, refuses gzip after all, the next
// Write is plain.
func TestGzipRefused(t *testing.T) {
	for status, forAll := range map[int]bool{
		http.StatusUnsupportedMediaType: true, http.StatusRequestEntityTooLarge: false, http.StatusBadRequest: false,
	} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			p := tap{refuse: status}
			files, url := startServer(t, p.wrap)
			st := open(t, url, nil)
			data := text(1 << 20)
			u, id, _ := begin(t, st, int64(len(data)))
			if _, err := u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data))); !transient(err) {
				t.Fatalf("refused with %v", err)
			}
			if _, err := u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data))); err != nil {
				t.Fatal(err)
			}
			compareStored(t, files, id, data)
			if p.coded != 1 || p.plain != 1 {
				t.Errorf("%d in gzip, %d plain", p.coded, p.plain)
			}
			other, _, err := st.Create(t.Context(), store.Spec{Name: "y", Length: 1})
			if err != nil {
				t.Fatal(err)
			}
			err = other.(store.Compressor).Compress(t.Context(), store.Gzip, func(int64) {})
			if errors.Is(err, store.ErrUnsupported) != forAll {
				t.Errorf("the next upload: %v", err)
			}
		})
	}
}

// A file that the server doesn't take isn't sent a second time without gzip, and
// others go on with it.
func TestFileRefusedInGzip(t *testing.T) {
	p := tap{refuse: http.StatusUnsupportedMediaType, code: protocol.CodeFile}
	_, url := startServer(t, p.wrap)
	st := open(t, url, nil)
	data := text(1 << 20)
	u, _, _ := begin(t, st, int64(len(data)))
	if _, err := u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data))); !errors.Is(err, store.ErrRefused) || transient(err) {
		t.Errorf("refused with %v", err)
	}
	begin(t, st, 1)
}

// Memory of a compressor is in the budget, goes on to the next Write, and comes
// back when it gets short. Where there is none, bytes go as they are.
func TestMemoryOfCompressors(t *testing.T) {
	var p tap
	_, url := startServer(t, p.wrap)
	mem := newMemory(t)
	st, err := tusstore.Open(url, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, st.Close()) })
	data := text(1 << 20)
	write := func() {
		t.Helper()
		u, _, _ := begin(t, st, int64(len(data)))
		if _, err := u.Write(t.Context(), 0, bytes.NewReader(data), int64(len(data))); err != nil {
			t.Fatal(err)
		}
	}
	held := func() int64 { return mem.Stats().Kinds[memory.KindCompressor].Bytes }
	write()
	one := held()
	write()
	if one < 1<<20 || held() != one {
		t.Errorf("held %d after one Write, %d after two", one, held())
	}
	freed, err := mem.Cleanup(t.Context())
	if err != nil || freed.Hooks != one || held() != 0 {
		t.Errorf("a cleanup freed %d of %d, error %v", freed.Hooks, one, err)
	}
	check(t, mem.SetLimit(1<<20))
	write()
	if p.coded != 2 || p.plain != 1 {
		t.Errorf("%d in gzip, %d plain; want 2 and 1", p.coded, p.plain)
	}
}
