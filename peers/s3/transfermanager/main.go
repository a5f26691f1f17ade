// Command transfermanager uploads with feature/s3/transfermanager of the AWS SDK
// for Go v2.
package main

import (
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"

	"github.com/streamflow/streamflow/peers/s3/aws"
	"github.com/streamflow/streamflow/peers/s3/job"
)

func main() { job.Run(upload) }

func upload(ctx context.Context, j job.Job) error {
	client := transfermanager.New(aws.NewClient(j.Endpoint), func(o *transfermanager.Options) {
		if j.Lean {
			// Options: PartSizeBytes is "the buffer size to use when buffering
			// data into chunks", 5 MiB the least; Concurrency is "the number of
			// goroutines to spin up in parallel".
			o.Concurrency, o.PartSizeBytes = 1, 5<<20
		}
	})
	input := &transfermanager.UploadObjectInput{Bucket: &j.Bucket, Key: &j.Key, Body: j.File}
	if j.Pipe {
		input.Body = struct{ io.Reader }{j.File}
	}
	_, err := client.UploadObject(ctx, input)
	return err
}
