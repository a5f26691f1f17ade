package streamflow_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/filestore"
)

// childDir names the directory of a test whose process is to be killed: the
// test binary then is that process, and nothing else.
const childDir = "STREAMFLOW_TEST_CHILD_DIR"

// uploadAsChild uploads data.bin in dir to the directory uploads, and prints
// how much of it was resumed.
func uploadAsChild(dir string) error {
	mem, err := memory.New(nil)
	if err != nil {
		return err
	}
	dst, err := filestore.Open(filepath.Join(dir, "uploads"), mem, nil)
	if err != nil {
		return err
	}
	m, err := streamflow.New(dst, &streamflow.Options{
		Memory: mem, StateDir: filepath.Join(dir, "state"), Destination: "uploads", ChunkBytes: 256 << 10,
	})
	if err != nil {
		return err
	}
	fmt.Println("begins") // from here on it may be killed
	u, err := m.UploadFile(context.Background(), filepath.Join(dir, "data.bin"))
	if err != nil {
		return err
	}
	r, err := u.Wait(context.Background())
	if err != nil {
		return err
	}
	fmt.Println("resumed", r.ResumedBytes)
	return errors.Join(m.Close(), dst.Close(), mem.Close())
}

func TestResumeAfterKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	p := content(96 << 20)
	if err := os.WriteFile(filepath.Join(dir, "data.bin"), p, 0o600); err != nil {
		t.Fatal(err)
	}
	object := filepath.Join(dir, "uploads", "data.bin")
	kills := 0
	for {
		_, err := os.Stat(object)
		finished := err == nil // but killed before it was forgotten
		// Longer and longer, since each has to read again what was sent before.
		life := time.Duration(float64(1+random.IntN(40)) * math.Pow(1.3, float64(kills)) * float64(time.Millisecond))
		if resumed, ok := runChild(t, dir, life); ok {
			// The first few may have died before anything was sent.
			if resumed == 0 && kills > 3 && !finished {
				t.Error("the last process began anew")
			}
			break
		}
		kills++
	}
	t.Logf("killed %d times", kills)
	got, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, got, p)
	if left := entries(t, filepath.Join(dir, "state")); len(left) != 0 {
		t.Errorf("the journal still has %v", left)
	}
}

// runChild returns what the child resumed, and false where it was killed, once
// it had lived for so long after its beginning.
func runChild(t *testing.T, dir string, life time.Duration) (resumed int64, ok bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	output := bufio.NewScanner(stdout)
	if !output.Scan() || output.Text() != "begins" {
		t.Fatalf("the child said %q: %s", output.Text(), trouble.String())
	}
	kill := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	output.Scan()
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() {
		return 0, false
	}
	if err != nil {
		t.Fatalf("%v: %s", err, trouble.String())
	}
	if _, err := fmt.Sscanf(output.Text(), "resumed %d", &resumed); err != nil {
		t.Fatalf("the child said %q", output.Text())
	}
	return resumed, true
}
