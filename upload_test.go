package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/store"
)

var orders = map[string]bool{"ordered": false, "unordered": true}

var sizes = []int{0, 1, 4095, 4096, 4097, 3 * 4096, 100_000}

// begin starts the upload of p as a file or a stream called data.bin.
func begin(t testing.TB, m *streamflow.Manager, p []byte, stream bool) *streamflow.Upload {
	t.Helper()
	if stream {
		u, err := m.Upload(t.Context(), streamflow.Stream("data.bin", bytes.NewReader(p)))
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	u, err := m.UploadFile(t.Context(), writeFile(t, p))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// eachWay runs f for files and streams, ordered and unordered stores.
func eachWay(t *testing.T, f func(t *testing.T, s *memStore, stream bool)) {
	for order, unordered := range orders {
		for source, stream := range map[string]bool{"file": false, "stream": true} {
			t.Run(order+"/"+source, func(t *testing.T) { f(t, newMemStore(unordered), stream) })
		}
	}
}

func TestUploadSizes(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			eachWay(t, func(t *testing.T, s *memStore, stream bool) {
				p := content(size)
				m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
				u := begin(t, m, p, stream)
				r := mustWait(t, u)
				mustEqual(t, object(t, s, "data.bin"), p)
				if r.Bytes != int64(size) || r.Sum != (store.Sum{CRC32C: crcOf(p), Known: true}) || r.ID == "" || r.Location != "mem:data.bin" {
					t.Errorf("result %+v", r)
				}
				if got := u.State(); got.Status != streamflow.Finished || got.Bytes != int64(size) || got.Total != int64(size) {
					t.Errorf("state %+v", got)
				}
			})
		})
	}
}

func TestFileToOrderedStoreIsOneWrite(t *testing.T) {
	s := newMemStore(false)
	m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
	mustWait(t, begin(t, m, content(100_000), false))
	if len(s.writes) != 1 || s.writes[0] != 100_000 {
		t.Errorf("writes %v", s.writes)
	}
}

// eachFailure has one call of the destination fail, the first to the last in turn,
// and at last none.
func eachFailure(t *testing.T, test func(t *testing.T, dst *memStore, p []byte, stream bool, failures func() int64)) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		p := content(40_000)
		for n := int64(1); ; n++ {
			var calls, broke atomic.Int64
			dst := newMemStore(s.limits.Unordered)
			dst.readBytes = 3000
			dst.before = func(context.Context, string) error {
				if calls.Add(1) == n {
					broke.Add(1)
					return store.Transient(errBroken)
				}
				return nil
			}
			synctest.Test(t, func(t *testing.T) {
				test(t, dst, p, stream, broke.Load)
			})
			if t.Failed() {
				t.Fatalf("with call %d failing", n)
			}
			if broke.Load() == 0 {
				break
			}
		}
	})
}

func TestEveryFailureAtEveryCall(t *testing.T) {
	eachFailure(t, func(t *testing.T, dst *memStore, p []byte, stream bool, failures func() int64) {
		m := manager(t, dst, streamflow.Options{ChunkBytes: 8192})
		r := mustWait(t, begin(t, m, p, stream))
		mustEqual(t, object(t, dst, "data.bin"), p)
		if int64(r.Retries) != failures() {
			t.Errorf("%d retries of %d", r.Retries, failures())
		}
	})
}

func TestRetriesGiveUp(t *testing.T) {
	for name, tc := range map[string]struct {
		retries  int
		min, max time.Duration
		attempts int
	}{
		"default":  {0, 45 * time.Second, 61 * time.Second, 3},
		"none":     {-1, 0, 0, 1},
		"patience": {1, 45 * time.Second, 61 * time.Second, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newMemStore(false)
				s.before = func(context.Context, string) error { return store.Transient(errBroken) }
				var log bytes.Buffer
				m := manager(t, s, streamflow.Options{Retries: tc.retries, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				start := time.Now()
				_, err := wait(t, begin(t, m, content(10), false))
				gave, ok := errors.AsType[*streamflow.RetryError](err)
				if !ok || !errors.Is(err, errBroken) || gave.Attempts < tc.attempts {
					t.Fatalf("got %v", err)
				}
				if took := time.Since(start); took < tc.min || took > tc.max {
					t.Errorf("gave up after %v", took)
				}
				if got := streamflow.Code(err); got != streamflow.CodeNetwork {
					t.Errorf("code %s", got)
				}
				// Who waits hears why, once.
				if n := strings.Count(log.String(), "level=WARN"); n != min(gave.Attempts-1, 1) {
					t.Errorf("%d warnings of %d attempts: %s", n, gave.Attempts, log.String())
				}
			})
		})
	}
}

func TestPermanentErrorEndsAtOnce(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		s.before = func(_ context.Context, call string) error {
			if call == "Write" {
				return store.ErrNoSpace
			}
			return nil
		}
		m := manager(t, s, streamflow.Options{ChunkBytes: 4096})
		u := begin(t, m, content(100_000), stream)
		if _, err := wait(t, u); !errors.Is(err, store.ErrNoSpace) {
			t.Fatalf("got %v", err)
		}
		if u.State().Status != streamflow.Failed {
			t.Errorf("state %+v", u.State())
		}
	})
}

func TestGoneInTheMiddle(t *testing.T) {
	for order, unordered := range orders {
		t.Run(order, func(t *testing.T) {
			s := newMemStore(unordered)
			s.readBytes = 4096
			var reads atomic.Int64
			s.before = func(_ context.Context, call string) error {
				if call == "Read" && reads.Add(1) == 5 {
					s.lose()
				}
				return nil
			}
			m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 10})
			p := content(100_000)
			r := mustWait(t, begin(t, m, p, false))
			mustEqual(t, object(t, s, "data.bin"), p)
			if r.RestartReason == "" {
				t.Error("no reason for the restart")
			}
		})
	}
}

func TestNewRefusesOptions(t *testing.T) {
	for name, opts := range map[string]streamflow.Options{
		"ChunkBytes":  {ChunkBytes: -1},
		"Streams":     {Streams: -1},
		"Destination": {StateDir: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := streamflow.New(newMemStore(false), &opts); err == nil || !bytes.Contains([]byte(err.Error()), []byte("Options."+name)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
