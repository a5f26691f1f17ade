package streamflow

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/store"
)

func TestBackoffDelays(t *testing.T) {
	failure := store.Transient(errors.New("broken"))
	synctest.Test(t, func(t *testing.T) {
		b := backoff{limit: 3, jitter: func() float64 { return 0.5 }}
		start := time.Now()
		var delays []time.Duration
		for {
			delay, err := b.failed(time.Now(), failure)
			if gave, ok := errors.AsType[*RetryError](err); ok {
				// Three failures came long before 45 s were over.
				if took := time.Since(start); took != 45375*time.Millisecond || gave.For != took || gave.Attempts != len(delays)+1 {
					t.Errorf("gave up after %v: %v", took, err)
				}
				break
			}
			delays = append(delays, delay)
			time.Sleep(delay)
		}
		ms := time.Millisecond
		want := []time.Duration{125 * ms, 250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 7500 * ms, 7500 * ms, 7500 * ms, 7500 * ms, 7500 * ms}
		for i, d := range delays {
			if i >= len(want) || d != want[i] {
				t.Fatalf("delays %v, want %v", delays, want)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	now := time.Unix(0, 0)
	transient := store.Transient(errors.New("broken"))
	for name, tc := range map[string]struct {
		b     backoff
		err   error
		delay time.Duration
		ends  bool
	}{
		"permanent":            {b: backoff{limit: 3}, err: store.ErrDenied, ends: true},
		"offset":               {b: backoff{limit: 3}, err: &store.OffsetError{Expected: 1}, delay: 250 * time.Millisecond},
		"retry after":          {b: backoff{limit: 3}, err: &store.TransientError{Err: errors.New("busy"), RetryAfter: time.Minute}, delay: time.Minute},
		"retries are off":      {b: backoff{limit: -1}, err: transient, ends: true},
		"too few for so long":  {b: backoff{limit: 3, failures: 1, first: now.Add(-time.Hour)}, err: transient, delay: 500 * time.Millisecond},
		"enough for so long":   {b: backoff{limit: 3, failures: 2, first: now.Add(-patience)}, err: transient, ends: true},
		"enough, but too soon": {b: backoff{limit: 3, failures: 9, first: now.Add(-patience + 1)}, err: transient, delay: backoffCap},
	} {
		t.Run(name, func(t *testing.T) {
			tc.b.jitter = func() float64 { return 1 }
			delay, err := tc.b.failed(now, tc.err)
			if delay != tc.delay || (err != nil) != tc.ends || (err != nil && !errors.Is(err, errors.Unwrap(tc.err)) && !errors.Is(err, tc.err)) {
				t.Errorf("got %v, %v", delay, err)
			}
			tc.b.reset()
			if tc.ends {
				return
			}
			if delay, _ := tc.b.failed(now, transient); delay != backoffBase {
				t.Errorf("after progress: got %v", delay)
			}
		})
	}
}
