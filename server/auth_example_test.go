package server_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store/filestore"
)

// signedIn is the middleware of an application that knows its users by a cookie.
// Whoever has one may upload and go on with what is theirs.
func signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if cookie, err := r.Cookie("user"); err == nil { // yours is signed
			id := auth.Identity{Owner: cookie.Value, Scopes: auth.Create | auth.Append}
			r = r.WithContext(auth.NewContext(r.Context(), id))
		}
		next.ServeHTTP(w, r)
	})
}

// A server in an application that authenticates by itself: the server has no
// tokens, and believes what the application's middleware says.
func ExampleServer_authentication() {
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
	uploads, err := server.New(files, mem, &server.Options{Auth: &auth.Options{}})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/files/", signedIn(uploads))

	var upload string
	ask := func(method, path, user string) {
		r := httptest.NewRequest(method, path, nil)
		r.Header.Set("Tus-Resumable", "1.0.0")
		if method == "POST" {
			r.Header.Set("Upload-Length", "5")
		}
		if user != "" {
			r.AddCookie(&http.Cookie{Name: "user", Value: user})
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if location := w.Header().Get("Location"); location != "" {
			upload = location
		}
		fmt.Printf("%s by %q: %d\n", method, user, w.Code)
	}
	ask("POST", "/files/", "")
	ask("POST", "/files/", "alice")
	ask("HEAD", upload, "alice")
	ask("HEAD", upload, "bob")
	// Output:
	// POST by "": 401
	// POST by "alice": 201
	// HEAD by "alice": 200
	// HEAD by "bob": 404
}
