package compression_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/compression"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/filestore"
)

// A log is stored compressed, and its name says so.
func Example() {
	dir, err := os.MkdirTemp("", "compression")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "app.log")
	if err := os.WriteFile(source, []byte(strings.Repeat("all is well\n", 1000)), 0o600); err != nil {
		log.Fatal(err)
	}

	mem, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Close()
	dst, err := filestore.Open(filepath.Join(dir, "stored"), mem, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer dst.Close()
	m, err := streamflow.New(dst, &streamflow.Options{
		Memory:   mem,
		Encoders: []streamflow.Encoder{compression.Zstd()},
	})
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
	fmt.Println(filepath.Base(result.Location), result.Bytes < 12000)
	// Output: app.log.zst true
}
