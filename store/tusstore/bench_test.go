package tusstore_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/tusstore"
)

// BenchmarkWrite uploads a file of 1 GiB over loopback to a real server that
// keeps it on disk: both sides in this process. Finishing syncs the file, so
// set TMPDIR to a tmpfs to see what the path itself does.
func BenchmarkWrite(b *testing.B) {
	const size = 1 << 30
	mem, err := memory.New(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer mem.Close()
	files, err := filestore.Open(b.TempDir(), mem, &filestore.Options{ByID: true})
	if err != nil {
		b.Fatal(err)
	}
	srv, err := server.New(files, mem, nil)
	if err != nil {
		b.Fatal(err)
	}
	hs := httptest.NewServer(srv)
	defer hs.Close()
	st, err := tusstore.Open(hs.URL+"/files/", mem, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	source := filepath.Join(b.TempDir(), "source")
	if err := os.WriteFile(source, make([]byte, size), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := os.Open(source)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	b.SetBytes(size)
	for b.Loop() {
		if _, err := f.Seek(0, 0); err != nil {
			b.Fatal(err)
		}
		u, _, err := st.Create(b.Context(), store.Spec{Name: "x", Length: size})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := u.Write(b.Context(), 0, f, size); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := u.Abort(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
