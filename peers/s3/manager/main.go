// Command manager uploads with feature/s3/manager of the AWS SDK for Go v2,
// which its makers have deprecated and most programs still use.
package main

import (
	"context"
	"io"

	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/streamflow/streamflow/peers/s3/aws"
	"github.com/streamflow/streamflow/peers/s3/job"
)

func main() { job.Run(upload) }

func upload(ctx context.Context, j job.Job) error {
	uploader := manager.NewUploader(aws.NewClient(j.Endpoint), func(u *manager.Uploader) {
		if j.Lean {
			// The developer guide of the SDK, "Amazon S3 Transfer Managers":
			// Concurrency and PartSize say how much is buffered, and 5 MiB is
			// the least. A file isn't buffered, as it is an io.ReaderAt.
			u.Concurrency, u.PartSize = 1, manager.MinUploadPartSize
		}
	})
	input := &s3.PutObjectInput{Bucket: &j.Bucket, Key: &j.Key, Body: j.File}
	if j.Pipe {
		input.Body = struct{ io.Reader }{j.File}
	}
	_, err := uploader.Upload(ctx, input)
	return err
}
