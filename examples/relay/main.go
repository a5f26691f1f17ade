// Relay puts what it is sent into an S3 bucket, within a memory budget: an example
// of streamflow as a library in a server of one's own.
//
//	BUCKET=backups RELAY_MEMORY=64 relay
//	curl -T disk.iso http://127.0.0.1:8090/images/disk.iso
//
// All requests share one budget, however many there are and however large they are:
// each holds a few parts of its body until S3 has them, and waits where there is no
// room for another. The variables AWS_ENDPOINT_URL and those of
// credentials say how to reach S3.
package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/s3store"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cmp.Or(os.Getenv("RELAY_LISTEN"), "127.0.0.1:8090")); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen string) (err error) {
	mebibytes, err := strconv.ParseInt(cmp.Or(os.Getenv("RELAY_MEMORY"), "64"), 10, 64)
	if err != nil {
		return err
	}
	// The budget is that of the whole process: the runtime's share is taken off.
	process, err := memory.OpenProcess(&memory.Options{Limit: mebibytes << 20})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, process.Close()) }()
	budget := process.Manager()

	bucket, err := s3store.Open(os.Getenv("BUCKET"), "", budget, &s3store.Options{Endpoint: os.Getenv("AWS_ENDPOINT_URL")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bucket.Close()) }()
	uploads, err := streamflow.New(bucket, &streamflow.Options{Memory: budget, Streams: 2})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, uploads.Close()) }()

	relay := newRelay(uploads)
	defer relay.close()
	srv := &http.Server{Addr: listen, Handler: relay}
	context.AfterFunc(ctx, func() { _ = srv.Shutdown(context.WithoutCancel(ctx)) })
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
