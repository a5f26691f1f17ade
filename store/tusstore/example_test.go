package tusstore_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/tusstore"
)

func ExampleStore() {
	endpoint, stop := exampleServer()
	defer stop()
	mem, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Close()
	st, err := tusstore.Open(endpoint, mem, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer st.Close()

	ctx := context.Background()
	u, _, err := st.Create(ctx, store.Spec{Name: "greeting.txt", Length: 5})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := u.Write(ctx, 0, strings.NewReader("hello"), 5); err != nil {
		log.Fatal(err)
	}
	info, err := u.Finish(ctx, store.Sum{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(info.Name, info.Offset, info.Complete)
	// Output: greeting.txt 5 true
}

func exampleServer() (endpoint string, stop func()) {
	dir, err := os.MkdirTemp("", "uploads")
	if err != nil {
		log.Fatal(err)
	}
	mem, err := memory.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	files, err := filestore.Open(dir, mem, &filestore.Options{ByID: true})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := server.New(files, mem, nil)
	if err != nil {
		log.Fatal(err)
	}
	hs := httptest.NewServer(srv)
	return hs.URL + "/files/", func() {
		hs.Close()
		_ = files.Close()
		_ = mem.Close()
		_ = os.RemoveAll(dir)
	}
}
