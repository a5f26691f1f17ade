//go:build linux && !race

package memory_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/streamflow/streamflow/memory"
)

// TestResident runs a process that uses all its manager hands out, and makes
// garbage and tracked objects beside it, and asks the operating system for the
// most memory it ever had.
func TestResident(t *testing.T) {
	if budget := os.Getenv("MEMORY_TEST_BUDGET"); budget != "" {
		limit, err := strconv.ParseInt(budget, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		useAll(t, limit)
		fmt.Println("\nREADY")
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the parent has looked
		os.Exit(0)
	}
	for _, budget := range []int64{32 * mib, 64 * mib, 256 * mib} {
		t.Run(fmt.Sprint(budget/mib, "MiB"), func(t *testing.T) {
			peak := peakOf(t, budget)
			t.Logf("peak RSS %.1f MiB", float64(peak)/mib)
			if peak > budget || peak < budget/3 {
				t.Errorf("peak RSS %d, want at most the budget, %d, and most of it used", peak, budget)
			}
		})
	}
}

func peakOf(t *testing.T, budget int64) int64 {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestResident$")
	cmd.Env = append(os.Environ(), "MEMORY_TEST_BUDGET="+strconv.FormatInt(budget, 10))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "READY"; {
		said.WriteString(lines.Text() + "\n")
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

// useAll has goroutines hold and write buffers of all sizes, as many as the
// manager will give, while they make garbage.
func useAll(t *testing.T, budget int64) {
	p, err := memory.OpenProcess(&memory.Options{Limit: budget})
	if err != nil {
		t.Fatal(err)
	}
	m := p.Manager()
	var workers sync.WaitGroup
	for i := range 8 {
		r := rand.New(rand.NewPCG(uint64(i), 0))
		workers.Go(func() {
			var garbage [][]byte
			for range 300 {
				b := acquire(t, m, 1+r.IntN(4*mib))
				for at := 0; at < b.Len(); at += 4096 {
					b.Bytes()[at] = 1
				}
				object := make([]byte, 32*kib)
				id, err := memory.Track(m, &object[0], "object", 32*kib, nil)
				garbage = append(garbage[:len(garbage)%4], make([]byte, r.IntN(64*kib)))
				release(t, b)
				if err == nil {
					if err := m.Release(id); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	workers.Wait()
	all := acquire(t, m, int(m.Limit()*4/5))
	clear(all.Bytes())
	release(t, all)
}
