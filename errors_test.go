package streamflow_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"testing"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

func TestCode(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"none":            {nil, ""},
		"unit too large":  {&memory.LimitError{}, "MEMORY_LIMIT_EXCEEDED"},
		"pressure":        {streamflow.ErrPressure, "MEMORY_LIMIT_EXCEEDED"},
		"missing file":    {&streamflow.SourceError{Err: fs.ErrNotExist}, "INVALID_FILE"},
		"changed":         {streamflow.ErrSourceChanged, "INVALID_FILE"},
		"denied":          {store.ErrDenied, "INVALID_TOKEN"},
		"too large":       {store.ErrTooLarge, "INVALID_FILE"},
		"refused":         {store.ErrRefused, "INVALID_FILE"},
		"name taken":      {store.ErrExists, "VALIDATION_ERROR"},
		"URL used":        {store.ErrTaken, "VALIDATION_ERROR"},
		"checksum":        {store.ErrChecksum, "VALIDATION_ERROR"},
		"rate limited":    {store.Transient(store.ErrRateLimited), "RATE_LIMIT_EXCEEDED"},
		"asked to wait":   {&store.TransientError{Err: errBroken, RetryAfter: time.Second}, "NETWORK_ERROR"},
		"transient":       {store.Transient(errBroken), "NETWORK_ERROR"},
		"network":         {&net.OpError{Err: errBroken}, "NETWORK_ERROR"},
		"gave up":         {&streamflow.RetryError{Err: errBroken}, "NETWORK_ERROR"},
		"anything else":   {errBroken, "WORKER_ERROR"},
		"gave up, denied": {&streamflow.RetryError{Err: store.ErrDenied}, "INVALID_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := streamflow.Code(tc.err); got != tc.want {
				t.Errorf("got %q", got)
			}
			if tc.err == nil {
				return
			}
			if got := streamflow.Code(fmt.Errorf("upload x: %w", tc.err)); got != tc.want {
				t.Errorf("wrapped: got %q", got)
			}
		})
	}
}

func TestRetryErrorText(t *testing.T) {
	for attempts, want := range map[int]string{
		1: "gave up after 1 attempt: broken on purpose",
		3: "gave up after 3 attempts in 46s: broken on purpose",
	} {
		err := &streamflow.RetryError{Attempts: attempts, For: 46 * time.Second, Err: errBroken}
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

// What arrived differs from what was read: it must not appear, nor be resumed.
func TestChecksumDiffers(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		s.before = func(_ context.Context, call string) error {
			if call == "Finish" {
				s.mu.Lock()
				defer s.mu.Unlock()
				for _, u := range s.uploads {
					u.data[0] ^= 1
				}
			}
			return nil
		}
		opts := streamflow.Options{ChunkBytes: 4096, StateDir: t.TempDir(), Destination: "mem"}
		_, err := wait(t, begin(t, manager(t, s, opts), content(10_000), stream))
		if !errors.Is(err, store.ErrChecksum) {
			t.Errorf("got %v", err)
		}
		if s.count() != 0 || len(entries(t, opts.StateDir)) != 0 {
			t.Error("something is left")
		}
		opts.DisableChecksum = true
		r := mustWait(t, begin(t, manager(t, s, opts), content(10_000), stream))
		if r.Sum.Known {
			t.Errorf("result %+v", r)
		}
	})
}

func TestAbortThatFailsCanBeRepeated(t *testing.T) {
	eachWay(t, func(t *testing.T, s *memStore, stream bool) {
		broken := true
		s.before = func(ctx context.Context, call string) error {
			switch {
			case call == "Read":
				<-ctx.Done()
				return context.Cause(ctx)
			case call == "Abort" && broken:
				return errBroken
			}
			return nil
		}
		opts := streamflow.Options{ChunkBytes: 4096, StateDir: t.TempDir(), Destination: "mem"}
		u := begin(t, manager(t, s, opts), content(100_000), stream)
		for u.State().Bytes == 0 {
			time.Sleep(time.Millisecond)
		}
		if err := u.Abort(t.Context()); !errors.Is(err, errBroken) || u.State().Status != streamflow.Failed {
			t.Errorf("got %v, %+v", err, u.State())
		}
		broken = false
		if err := u.Abort(t.Context()); err != nil || u.State().Status != streamflow.Aborted {
			t.Errorf("again: got %v, %+v", err, u.State())
		}
		if s.count() != 0 || len(entries(t, opts.StateDir)) != 0 {
			t.Error("something is left")
		}
	})
}
