package streamflow_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/filestore"
)

// A directory is the destination here; tusstore.Open makes a server one.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "streamflow")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "hello.txt")
	if err := os.WriteFile(source, []byte("hello, world"), 0o600); err != nil {
		log.Fatal(err)
	}

	mem, err := memory.New(&memory.Options{Limit: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Close()
	dst, err := filestore.Open(filepath.Join(dir, "uploads"), mem, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer dst.Close()
	m, err := streamflow.New(dst, &streamflow.Options{Memory: mem})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	u, err := m.UploadFile(context.Background(), source)
	if err != nil {
		log.Fatal(err)
	}
	result, err := u.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Bytes, "bytes in", filepath.Base(result.Location))
	// Output: 12 bytes in hello.txt
}

func ExampleStream() {
	m, done := managerOfADirectory(nil)
	defer done()
	src := streamflow.Stream("notes/today.txt", strings.NewReader("of any length"))
	u, err := m.Upload(context.Background(), src)
	if err != nil {
		log.Fatal(err)
	}
	result, err := u.Wait(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d bytes, CRC-32C %08x\n", result.Bytes, result.Sum.CRC32C)
	// Output: 13 bytes, CRC-32C bba62e82
}

func ExampleManager_Subscribe() {
	m, done := managerOfADirectory(nil)
	defer done()
	events := m.Subscribe()
	defer events.Close()
	if _, err := m.Upload(context.Background(), streamflow.Stream("a.txt", strings.NewReader("12345678"))); err != nil {
		log.Fatal(err)
	}
	var last streamflow.Progress // it may come again while the upload ends
	for e := range events.Events(context.Background()) {
		switch e := e.(type) {
		case streamflow.Progress:
			last = e
		case streamflow.StateChange:
			if e.State.Status == streamflow.Finished {
				fmt.Printf("%s: %.0f %%, finished\n", last.Upload.Name(), last.Percentage)
				return
			}
		}
	}
	// Output: a.txt: 100 %, finished
}

// Several Managers, here of two destinations, share one budget, and so do buffers
// of one's own.
func ExampleOptions() {
	budget, err := memory.New(&memory.Options{Limit: 16 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer budget.Close()
	own, err := budget.Acquire(context.Background(), "thumbnails", 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	defer own.Release()
	near, done := managerOfADirectory(budget)
	defer done()
	far, done := managerOfADirectory(budget)
	defer done()

	for _, m := range []*streamflow.Manager{near, far} {
		u, err := m.Upload(context.Background(), streamflow.Stream("zeros", io.LimitReader(zeros{}, 40<<20)))
		if err != nil {
			log.Fatal(err)
		}
		result, err := u.Wait(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(result.Bytes>>20, "MiB")
	}
	stats := budget.Stats()
	fmt.Println("within the budget:", stats.Peak <= 16<<20, "- held now:", stats.Kinds["thumbnails"].Bytes>>20, "MiB")
	// Output:
	// 40 MiB
	// 40 MiB
	// within the budget: true - held now: 1 MiB
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// managerOfADirectory returns a Manager that uploads to a temporary directory,
// within a budget of its own where mem is nil.
func managerOfADirectory(mem *memory.Manager) (m *streamflow.Manager, done func()) {
	dir, err := os.MkdirTemp("", "streamflow")
	if err != nil {
		log.Fatal(err)
	}
	closeOwn := func() error { return nil }
	if mem == nil {
		if mem, err = memory.New(nil); err != nil {
			log.Fatal(err)
		}
		closeOwn = mem.Close
	}
	dst, err := filestore.Open(dir, mem, nil)
	if err != nil {
		log.Fatal(err)
	}
	m, err = streamflow.New(dst, &streamflow.Options{Memory: mem})
	if err != nil {
		log.Fatal(err)
	}
	return m, func() {
		if err := m.Close(); err != nil {
			log.Print(err)
		}
		_ = dst.Close()
		_ = closeOwn()
		_ = os.RemoveAll(dir)
	}
}
