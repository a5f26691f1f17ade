package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/streamflow/streamflow"
)

func TestStreamReaderFails(t *testing.T) {
	for name, failure := range map[string]error{
		"error": errBroken, "cut off": io.ErrUnexpectedEOF, "cut off by what ended itself": fmt.Errorf("read from upstream: %w", io.EOF),
	} {
		t.Run(name, func(t *testing.T) {
			for _, unordered := range orders {
				s := newMemStore(unordered)
				m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
				r := io.MultiReader(bytes.NewReader(content(10_000)), iotest.ErrReader(failure))
				u, err := m.Upload(t.Context(), streamflow.Stream("x", r))
				if err != nil {
					t.Fatal(err)
				}
				_, err = wait(t, u)
				if _, ok := errors.AsType[*streamflow.SourceError](err); !ok || !errors.Is(err, failure) {
					t.Errorf("got %v", err)
				}
				if s.count() != 0 {
					t.Error("a stream that can't be resumed was left behind")
				}
			}
		})
	}
}

func TestBlockedStreamIsWoken(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	m := manager(t, newMemStore(false), streamflow.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	u, err := m.Upload(ctx, streamflow.Stream("x", r))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := wait(t, u); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSourceChanges(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"shrinks": func(path string) error { return os.Truncate(path, 30_000) },
		"grows": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("more")
			return errors.Join(err, f.Close())
		},
		"touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, unordered := range orders {
				path := writeFile(t, content(100_000))
				s := newMemStore(unordered)
				s.readBytes = 1000
				var reads atomic.Int64
				s.before = func(_ context.Context, call string) error {
					if call == "Read" && reads.Add(1) == 5 {
						return change(path)
					}
					return nil
				}
				m := manager(t, s, streamflow.Options{ChunkBytes: 4096, StateDir: t.TempDir(), Destination: "mem"})
				u, err := m.UploadFile(t.Context(), path)
				if err != nil {
					t.Fatal(err)
				}
				_, err = wait(t, u)
				if !errors.Is(err, streamflow.ErrSourceChanged) || streamflow.Code(err) != streamflow.CodeFile {
					t.Errorf("got %v", err)
				}
				if s.count() != 0 {
					t.Error("something is left at the destination")
				}
			}
		})
	}
}

func TestOpenFileRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, path := range map[string]string{"missing": filepath.Join(dir, "none"), "directory": dir, "device": "/dev/null"} {
		t.Run(name, func(t *testing.T) {
			m := manager(t, newMemStore(false), streamflow.Options{})
			_, err := m.UploadFile(t.Context(), path)
			if _, ok := errors.AsType[*streamflow.SourceError](err); !ok || streamflow.Code(err) != streamflow.CodeFile {
				t.Errorf("got %v", err)
			}
		})
	}
}
