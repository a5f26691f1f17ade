package streamflow_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

// sink takes an upload in 128 KiB reads and keeps nothing of it.
type sink struct {
	memStore
	p []byte
}

type sinkUpload struct {
	s    *sink
	info store.Info
}

func (s *sink) Create(_ context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	info := store.Info{ID: "x", Length: spec.Length}
	return &sinkUpload{s, info}, info, nil
}

func (u *sinkUpload) Info(context.Context) (store.Info, error)              { return u.info, nil }
func (u *sinkUpload) SetLength(_ context.Context, n int64) error            { u.info.Length = n; return nil }
func (u *sinkUpload) Abort(context.Context) error                           { return nil }
func (u *sinkUpload) Finish(context.Context, store.Sum) (store.Info, error) { return u.info, nil }

func (u *sinkUpload) Write(_ context.Context, _ int64, r io.Reader, size int64) (int64, error) {
	for n := int64(0); n < size; {
		read, err := r.Read(u.s.p)
		if n += int64(read); err != nil && n < size {
			return n, err
		}
	}
	u.info.Offset += size
	return size, nil
}

// BenchmarkUpload shows what the engine adds to reading a file.
func BenchmarkUpload(b *testing.B) {
	const size = 256 << 20
	path := filepath.Join(b.TempDir(), "data.bin")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 128<<10)
	for i := int64(0); i < size; i += int64(len(p)) { // into the page cache
		if _, err := f.ReadAt(p, i); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("only read", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			for i := int64(0); i < size; i += int64(len(p)) {
				if _, err := f.ReadAt(p, i); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	for name, opts := range map[string]streamflow.Options{
		"with checksum":    {},
		"without checksum": {DisableChecksum: true},
	} {
		b.Run(name, func(b *testing.B) {
			m := manager(b, &sink{p: make([]byte, 128<<10)}, opts)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				u, err := m.UploadFile(b.Context(), path)
				if err != nil {
					b.Fatal(err)
				}
				mustWait(b, u)
			}
		})
	}
}
