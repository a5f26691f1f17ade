package streamflow_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
	"github.com/streamflow/streamflow/store/tusstore"
)

func prose(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "chunk %d is at the destination\n", i*7919%100003)
	}
	return b.Bytes()[:n]
}

// compress uploads to a new server through what wrap makes of the store, and
// returns the results. The budget is empty in the end.
func compress(t *testing.T, gzip bool, wrap func(store.Store) store.Store, opts streamflow.Options, sources ...*streamflow.Source) (site, []streamflow.Result) {
	t.Helper()
	dir, theirs, mem := t.TempDir(), budget(t, 64<<20), budget(t, 64<<20)
	h, err := server.New(openDir(t, dir, theirs, true), theirs, nil)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions && !gzip {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	dst, err := tusstore.Open(web.URL+"/files/", mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	opts.Memory, opts.Compression = mem, store.Gzip
	m, err := streamflow.New(wrap(dst), &opts)
	if err != nil {
		t.Fatal(err)
	}
	var results []streamflow.Result
	for _, src := range sources {
		u, err := m.Upload(t.Context(), src)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, mustWait(t, u))
	}
	if err := errors.Join(m.Close(), dst.Close()); err != nil || mem.Stats().Active != 0 {
		t.Errorf("%d resources are held at the end, error %v", mem.Stats().Active, err)
	}
	return site{dst, func(r streamflow.Result) string { return filepath.Join(dir, path.Base(r.Location)) }}, results
}

func asItIs(st store.Store) store.Store { return st }

func TestCompression(t *testing.T) {
	p := prose(2 << 20)
	for name, plan := range map[string][]storetest.Fault{
		"well":           nil,
		"fail part way":  {{Op: storetest.OpWrite, Call: 1, After: 300_000}, {Op: storetest.OpWrite, Call: 2, After: 1}},
		"answer is lost": {{Op: storetest.OpWrite, Call: 1, Effect: storetest.Lost}},
	} {
		faulty := func(st store.Store) store.Store { return storetest.NewFaulty(st, plan...) }
		for kind, source := range map[string]func() *streamflow.Source{
			"file":   func() *streamflow.Source { return openSource(t, writeFile(t, p)) },
			"stream": func() *streamflow.Source { return streamflow.Stream("log.txt", bytes.NewReader(p)) },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				s, results := compress(t, true, faulty, streamflow.Options{ChunkBytes: 512 << 10}, source())
				s.mustHold(t, results[0], p)
				if saved := results[0].SavedBytes; saved < int64(len(p))/2 {
					t.Errorf("saved %d of %d bytes", saved, len(p))
				}
			})
		}
	}
}

func openSource(t *testing.T, path string) *streamflow.Source {
	t.Helper()
	src, err := streamflow.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

func TestCompressionWhereItDoesNotPay(t *testing.T) {
	p := prose(100 << 10)
	s, results := compress(t, true, asItIs, streamflow.Options{},
		streamflow.Stream("photo.JPG", bytes.NewReader(p)), streamflow.Stream("noise", bytes.NewReader(content(1<<20))))
	s.mustHold(t, results[0], p)
	if results[0].SavedBytes != 0 {
		t.Error("compressed what its name says is compressed")
	}
	s.mustHold(t, results[1], content(1<<20))
	if saved := results[1].SavedBytes; saved < -1000 || saved >= 0 {
		t.Errorf("saved %d bytes of noise", saved)
	}
}

// A server that doesn't take gzip gets bytes as they are, and the user hears of it
// once.
func TestCompressionThatTheServerDoesNotTake(t *testing.T) {
	var log bytes.Buffer
	p := prose(100 << 10)
	s, results := compress(t, false, asItIs, streamflow.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))},
		streamflow.Stream("a", bytes.NewReader(p)), streamflow.Stream("b", bytes.NewReader(p)))
	for _, r := range results {
		s.mustHold(t, r, p)
	}
	if n := strings.Count(log.String(), "takes nothing compressed"); n != 1 {
		t.Errorf("told %d times: %s", n, &log)
	}
}

func TestCompressionOfADirectory(t *testing.T) {
	mem, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	_, err = streamflow.New(openDir(t, t.TempDir(), mem, false), &streamflow.Options{Memory: mem, Compression: store.Gzip})
	if !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("error is %v", err)
	}
}
