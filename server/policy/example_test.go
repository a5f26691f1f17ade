package policy_test

import (
	"fmt"
	"os"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/policy"
	"github.com/streamflow/streamflow/store/filestore"
)

// A server that takes pictures only, and not too many.
func ExampleOptions() {
	dir, err := os.MkdirTemp("", "uploads")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	mem, err := memory.New(nil)
	if err != nil {
		panic(err)
	}
	defer mem.Close()
	files, err := filestore.Open(dir, mem, &filestore.Options{ByID: true})
	if err != nil {
		panic(err)
	}
	defer files.Close()

	images, err := policy.ParseType("image/*")
	if err != nil {
		panic(err)
	}
	_, err = server.New(files, mem, &server.Options{
		MaxFileBytes: 20 << 20,
		Policy: policy.Options{
			Types:          []policy.TypePattern{images},
			MaxUploads:     10,
			BytesPerSecond: 10 << 20,
			Quota:          100 << 30,
		},
	})
	fmt.Println(err)
	// Output: <nil>
}
