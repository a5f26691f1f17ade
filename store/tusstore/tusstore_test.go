package tusstore_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/storetest"
	"github.com/streamflow/streamflow/store/tusstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	var files store.Store
	storetest.Run(t, func(t *testing.T) store.Store {
		var url string
		files, url = startServer(t, nil)
		return open(t, url, nil)
	}, storetest.Options{
		Read: func(t *testing.T, info store.Info) []byte {
			at, err := files.Stat(t.Context(), info.ID[len(info.ID)-idLength:])
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(at.Location)
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
	})
}

// idLength of a filestore.
const idLength = 32

// startServer starts a real server over files and returns its endpoint.
func startServer(t *testing.T, wrap func(http.Handler) http.Handler) (store.Store, string) {
	t.Helper()
	mem := newMemory(t)
	files, err := filestore.Open(t.TempDir(), mem, &filestore.Options{ByID: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, files.Close()) })
	srv, err := server.New(files, mem, &server.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	var h http.Handler = srv
	if wrap != nil {
		h = wrap(srv)
	}
	hs := httptest.NewServer(h)
	t.Cleanup(hs.Close)
	return files, hs.URL + "/files/"
}

func open(t *testing.T, url string, opts *tusstore.Options) *tusstore.Store {
	t.Helper()
	st, err := tusstore.Open(url, newMemory(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, st.Close()) })
	return st
}

// newMemory is a budget whose close fails the test if anything is still held.
func newMemory(t *testing.T) *memory.Manager {
	t.Helper()
	mem, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if held := mem.Stats().Active; held != 0 {
			t.Errorf("%d resources were not released", held)
		}
		check(t, mem.Close())
	})
	return mem
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}
