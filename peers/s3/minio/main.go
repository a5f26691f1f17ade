// Command minio uploads with minio-go's own uploader, PutObject.
package main

import (
	"context"
	"net/url"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/streamflow/streamflow/peers/s3/job"
)

func main() { job.Run(upload) }

func upload(ctx context.Context, j job.Job) error {
	endpoint, err := url.Parse(j.Endpoint)
	if err != nil {
		return err
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds:  credentials.NewStaticV4(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		Secure: endpoint.Scheme == "https", Region: os.Getenv("AWS_REGION"),
	})
	if err != nil {
		return err
	}
	var options minio.PutObjectOptions
	if j.Lean {
		// docs/API.md of minio-go, PutObjectOptions: PartSize "specifies a custom
		// part size", NumThreads "specifies the number of worker threads"; the
		// comment of OptimalPartInfo: "set configuredPartSize explicitly to
		// control memory usage".
		options.PartSize, options.NumThreads = 5<<20, 1
	}
	size := int64(-1)
	if !j.Pipe {
		info, err := j.File.Stat()
		if err != nil {
			return err
		}
		size = info.Size()
	}
	_, err = client.PutObject(ctx, j.Bucket, j.Key, j.File, size, options)
	return err
}
