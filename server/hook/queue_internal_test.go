package hook

import (
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// However long the first delay is to be, and however often deliveries have failed.
func TestDelayIsBounded(t *testing.T) {
	for name, base := range map[string]time.Duration{
		"short":   time.Millisecond,
		"usual":   time.Second,
		"long":    24 * time.Hour,
		"longest": math.MaxInt64,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue()
				q.add("upload")
				if _, _, scan := q.take(); !scan {
					t.Fatal("the directory isn't looked into")
				}
				for failures := range 30 {
					if key, _, _ := q.take(); key == "" {
						t.Fatalf("after %d failures it isn't due", failures)
					}
					q.failed("upload", base, 0)
					_, delay, _ := q.take()
					if delay < 0 || delay > maxRetryDelay {
						t.Fatalf("after %d failures it waits %v", failures+1, delay)
					}
					time.Sleep(delay)
				}
			})
		})
	}
}
