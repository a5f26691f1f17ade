package clusterstore_test

import (
	"context"
	"log"
	"net"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store/clusterstore"
)

// A node of a server, whose uploads lie in a bucket. Other nodes are made in the same
// way, and share nothing else.
func Example() {
	ctx := context.Background()
	process, err := memory.OpenProcess(&memory.Options{Limit: 256 << 20})
	if err != nil {
		log.Fatal(err)
	}
	defer process.Close()
	budget := process.Manager()

	uploads, err := clusterstore.Open("uploads", "incoming", budget, &clusterstore.Options{Region: "eu-central-1"})
	if err != nil {
		log.Fatal(err)
	}
	defer uploads.Close()
	if err := uploads.Probe(ctx); err != nil { // before anything is taken
		log.Fatal(err)
	}
	node, err := server.New(uploads, budget, nil)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(node.Serve(ctx, listener))
}
