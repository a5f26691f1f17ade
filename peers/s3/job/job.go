// Package job is what the S3 uploaders of this module have in common: which
// bytes go to which object, and whether to be frugal. Credentials are in
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
package job

import (
	"context"
	"flag"
	"fmt"
	"os"
)

// A Job is one upload.
type Job struct {
	Endpoint string // URL of the service
	Bucket   string
	Key      string
	// Lean asks for as little memory as the library's own documentation has
	// settings for.
	Lean bool
	// File is what to upload: standard input where Pipe is set.
	File *os.File
	Pipe bool
}

// Run reads the job from the arguments, has upload do it, and exits.
func Run(upload func(context.Context, Job) error) {
	var j Job
	flag.StringVar(&j.Endpoint, "endpoint", "", "`URL` of the service")
	flag.StringVar(&j.Bucket, "bucket", "", "bucket of the object")
	flag.StringVar(&j.Key, "key", "", "key of the object")
	flag.BoolVar(&j.Lean, "lean", false, "take little memory")
	flag.Parse()
	if err := j.run(flag.Arg(0), upload); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (j *Job) run(source string, upload func(context.Context, Job) error) (err error) {
	j.File, j.Pipe = os.Stdin, source == "-"
	if !j.Pipe {
		if j.File, err = os.Open(source); err != nil {
			return err
		}
		defer j.File.Close()
	}
	return upload(context.Background(), *j)
}
