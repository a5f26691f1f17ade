package main

import (
	"os/exec"
	"testing"
	"time"
)

func TestPeakOfAProcess(t *testing.T) {
	ballast := make([]byte, 256*mib) // a child's peak must not be its parent's
	for i := range ballast {
		ballast[i] = 1
	}
	for name, test := range map[string]struct {
		script        string
		atLeast, most int64
	}{
		"small": {"sleep 0.1", 100 * kib, 16 * mib},
		"large": {"x=$(head -c 64000000 /dev/zero | tr '\\0' x); sleep 0.1", 60 * mib, 255 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := runToEnd(exec.CommandContext(t.Context(), "sh", "-c", test.script))
			if err != nil {
				t.Fatal(err)
			}
			if u.PeakRSS < test.atLeast || u.PeakRSS > test.most {
				t.Errorf("peak = %d, want %d to %d", u.PeakRSS, test.atLeast, test.most)
			}
			if u.Wall < 100*time.Millisecond || u.CPU <= 0 {
				t.Errorf("wall = %v, CPU = %v", u.Wall, u.CPU)
			}
		})
	}
	ballast[0]++
}

func TestErrorSaysWhatTheProcessSaid(t *testing.T) {
	_, err := runToEnd(exec.CommandContext(t.Context(), "sh", "-c", "echo no room >&2; exit 8"))
	if want := "sh -c echo no room >&2; exit 8: exit status 8: no room"; err == nil || err.Error() != want {
		t.Errorf("err = %v, want %s", err, want)
	}
}
