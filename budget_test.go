package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
)

func TestUnitTooLargeTouchesNothing(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			read := false
			r := readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF })
			mem := budget(t, 2<<20)
			m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 20, Memory: mem})
			u, err := m.Upload(t.Context(), streamflow.Stream("x", r))
			if err != nil {
				t.Fatal(err)
			}
			_, err = wait(t, u)
			limit, ok := errors.AsType[*memory.LimitError](err)
			if !ok || limit.Limit != 2<<20 || streamflow.Code(err) != streamflow.CodeMemory {
				t.Fatalf("got %v", err)
			}
			if read || s.created != 0 {
				t.Errorf("read %v, created %d", read, s.created)
			}
			// What it says would do, does.
			if err := mem.SetLimit(limit.Needed - 4096); err != nil {
				t.Fatal(err)
			}
			if _, err := wait(t, begin(t, m, content(10), true)); !errors.Is(err, memory.ErrLimit) {
				t.Errorf("less than needed: got %v", err)
			}
			if err := mem.SetLimit(limit.Needed); err != nil {
				t.Fatal(err)
			}
			mustWait(t, begin(t, m, content(10), true))
			// A file needs no such memory.
			mustWait(t, begin(t, m, content(10), false))
		})
	}
}

// Those who hold a unit each need a connection to get rid of it, which more who wait for
// units must not keep from them.
func TestUnitsWaitForConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, mem := newMemStore(false), budget(t, 15<<20)
		s.before = func(ctx context.Context, call string) error {
			if call != "Write" {
				return nil
			}
			r, err := mem.Reserve(ctx, memory.KindConnection, 88<<10)
			if err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
			return r.Release()
		}
		m := manager(t, s, streamflow.Options{ChunkBytes: 4 << 20, Memory: mem})
		mustWaitAll(t, m, 64, content(4<<20), true)
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestStreamLargerThanTheBudget(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			mem := budget(t, 2<<20)
			m := manager(t, s, streamflow.Options{ChunkBytes: 256 << 10, Memory: mem})
			p := content(8 << 20)
			mustWait(t, begin(t, m, p, true))
			mustEqual(t, object(t, s, "data.bin"), p)
			if peak := mem.Stats().Peak; peak > 2<<20 {
				t.Errorf("peak %d", peak)
			}
		})
	}
}

func TestManyUploadsShareASmallBudget(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			m := manager(t, s, streamflow.Options{ChunkBytes: 512 << 10, Memory: budget(t, 2<<20)})
			p := content(4 << 20)
			var all []*streamflow.Upload
			for i := range 4 {
				u, err := m.Upload(t.Context(), streamflow.Stream(fmt.Sprint(i), bytes.NewReader(p)))
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, u)
			}
			for i, u := range all {
				mustWait(t, u)
				mustEqual(t, object(t, s, fmt.Sprint(i)), p)
			}
		})
	}
}
