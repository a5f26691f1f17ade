//go:build unix && !race

package memory_test

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
)

var sink byte

// guilty are programs that use memory after they have let go of it. Each has a
// line that is to blame.
var guilty = map[string]func(*memory.Manager){
	"guarded": func(m *memory.Manager) {
		b, _ := m.Acquire(context.Background(), memory.KindChunk, 1000)
		data := b.Bytes()
		data[0] = 1
		_ = b.Release()
		sink = data[0] // guilty: guarded
	},
	"lost": func(m *memory.Manager) {
		data := forget(m)
		for m.Stats().Leaks == 0 {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
		sink = data[0] // guilty: lost
	},
}

//go:noinline
func forget(m *memory.Manager) []byte {
	b, _ := m.Acquire(context.Background(), memory.KindChunk, 1000)
	b.Bytes()[0] = 1
	return b.Bytes()
}

// TestUseAfterRelease runs the guilty in processes of their own, which have to
// die at the guilty line.
func TestUseAfterRelease(t *testing.T) {
	if name := os.Getenv("MEMORY_TEST_GUILTY"); name != "" {
		m, err := memory.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		guilty[name](m)
		os.Exit(0)
	}
	source, err := os.ReadFile("guard_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		env  string
		want bool
	}{
		{"guarded", "STREAMFLOW_MEMORY_GUARD=1", true},
		{"guarded", "STREAMFLOW_MEMORY_GUARD=", false}, // goes unseen without the guard
		{"lost", "STREAMFLOW_MEMORY_GUARD=", true},
	} {
		t.Run(test.name+" "+test.env, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestUseAfterRelease$")
			cmd.Env = append(os.Environ(), "MEMORY_TEST_GUILTY="+test.name, test.env)
			out, err := cmd.CombinedOutput()
			if !test.want {
				if err != nil {
					t.Errorf("died without the guard: %v\n%s", err, out)
				}
				return
			}
			before, _, _ := strings.Cut(string(source), "// guilty: "+test.name)
			line := strings.Count(before, "\n") + 1
			if err == nil || !strings.Contains(string(out), "unexpected fault address") || !strings.Contains(string(out), "guard_test.go:"+strconv.Itoa(line)) {
				t.Errorf("want a fault at line %d, got %v:\n%s", line, err, out)
			}
		})
	}
}
