package filestore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

func Example() {
	dir, err := os.MkdirTemp("", "filestore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	mem, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Close()
	files, err := filestore.Open(dir, mem, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()

	ctx := context.Background()
	upload, info, err := files.Create(ctx, store.Spec{Name: "greetings/hello.txt", Length: 12})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := upload.Write(ctx, 0, strings.NewReader("hello, "), 7); err != nil {
		log.Fatal(err)
	}

	// The connection breaks here. Later, maybe in another process:
	again, info, err := files.Open(ctx, info.ID)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := again.Write(ctx, info.Offset, strings.NewReader("world"), 5); err != nil {
		log.Fatal(err)
	}
	if _, err := again.Finish(ctx, store.Sum{}); err != nil {
		log.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "greetings", "hello.txt"))
	fmt.Println(string(data), err)
	// Output: hello, world <nil>
}
