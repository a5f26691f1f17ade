package server_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store/filestore"
)

// A server in somebody else's mux, with the uploads under /app/ and its metrics
// for everybody. Nobody gets at what isn't mounted.
func ExampleServer() {
	dir, err := os.MkdirTemp("", "uploads")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	mem, err := memory.New(&memory.Options{Limit: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer mem.Close()
	files, err := filestore.Open(dir, mem, &filestore.Options{ByID: true})
	if err != nil {
		log.Fatal(err)
	}
	defer files.Close()

	uploads, err := server.New(files, mem, &server.Options{BasePath: "/app/uploads/"})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/app/uploads/", uploads)
	mux.Handle("/metrics", uploads)

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("OPTIONS", "/app/uploads/", nil))
	fmt.Println(w.Code, w.Header().Get("Tus-Version"))
	// Output: 204 1.0.0
}
