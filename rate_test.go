package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
)

// All uploads together keep to the limit, and use it.
func TestRateLimit(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		synctest.Test(t, func(t *testing.T) {
			m := manager(t, s, streamflow.Options{ChunkBytes: 100_000, RateLimit: 100_000})
			start := time.Now()
			first := begin(t, m, content(500_000), stream)
			second := begin(t, m, content(500_000), stream)
			mustWait(t, first)
			mustWait(t, second)
			if took := time.Since(start); took < 9500*time.Millisecond || took > 11*time.Second {
				t.Errorf("1 MB at 100 kB/s took %s", took)
			}
		})
	})
}

// Nothing waits for its turn once the upload is to end.
func TestRateLimitEnds(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		synctest.Test(t, func(t *testing.T) {
			m := manager(t, s, streamflow.Options{ChunkBytes: 10_000, RateLimit: 1})
			u := begin(t, m, content(100_000), stream)
			time.Sleep(10 * time.Second)
			start := time.Now()
			if err := u.Abort(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("Abort took %s", took)
			}
		})
	})
}

// A deadline that comes before an upload's turn is no reason to go ahead.
func TestRateLimitBeforeADeadline(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		synctest.Test(t, func(t *testing.T) {
			m := manager(t, s, streamflow.Options{ChunkBytes: 10_000, RateLimit: 10})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			src := streamflow.Stream("data.bin", bytes.NewReader(content(100)))
			if !stream {
				var err error
				if src, err = streamflow.OpenFile(writeFile(t, content(100))); err != nil {
					t.Fatal(err)
				}
			}
			u, err := m.Upload(ctx, src)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := wait(t, u); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("100 B at 10 B/s ended within 2 s, with %+v, %v", r, err)
			}
		})
	})
}
