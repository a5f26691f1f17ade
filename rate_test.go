package streamflow_test

import (
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
