package interop

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// sourceName is the name of every file that is sent: no header takes it as it
// is.
const sourceName = "Grüße 世界.bin"

// bench is what all tests share.
var bench struct {
	streamflow string // the executable of this checkout
	tusd       string
	peers      string // the directory of the scripts
	sources    string // a directory of files to send
	driver     *driver
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	dir, err := os.MkdirTemp("", "streamflow-interop-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = setUp(ctx, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := bench.driver.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func setUp(ctx context.Context, dir string) (err error) {
	if bench.tusd, err = filepath.Abs("../bin/tusd"); err != nil {
		return err
	}
	if bench.peers, err = filepath.Abs("../peers"); err != nil {
		return err
	}
	for _, needed := range []string{bench.tusd, filepath.Join(bench.peers, "node_modules")} {
		if _, err := os.Stat(needed); err != nil {
			return fmt.Errorf("the peers are missing, run make interop: %w", err)
		}
	}
	bench.sources = dir
	bench.streamflow = filepath.Join(dir, "streamflow")
	build := exec.CommandContext(ctx, "go", "build", "-o", bench.streamflow, "./cmd/streamflow")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build streamflow: %w\n%s", err, out)
	}
	bench.driver, err = startDriver(ctx)
	return err
}

var making sync.Mutex

// source is a file of size random bytes.
func source(t *testing.T, size int64) string {
	t.Helper()
	making.Lock()
	defer making.Unlock()
	dir := filepath.Join(bench.sources, strconv.FormatInt(size, 10))
	path := filepath.Join(dir, sourceName)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(data)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
