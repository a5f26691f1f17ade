package main

import (
	"context"
	"os/exec"
	"path/filepath"
)

// An uploader is a program that sends to S3, with its defaults or as lean as its
// own documentation says how.
type uploader struct {
	name string
	lean bool
	// object sends a file, or its standard input where source is "-".
	object func(ctx context.Context, s *service, source string) *exec.Cmd
}

func (u uploader) String() string {
	if u.lean {
		return u.name + ", lean"
	}
	return u.name
}

const objectKey = "object"

// uploaders are ours and the peers'.
func (b *bench) uploaders() []uploader {
	var all []uploader
	for _, lean := range []bool{false, true} {
		all = append(all, uploader{ours, lean, b.ourObject(lean)})
		for _, library := range []string{"minio", "manager", "transfermanager"} {
			all = append(all, uploader{library, lean, b.libraryObject(library, lean)})
		}
		all = append(all, uploader{"s5cmd", lean, b.s5cmdObject(lean)}, uploader{"rclone", lean, b.rcloneObject(lean)})
	}
	return all
}

// s3Peers builds the peers that send to S3.
func (b *bench) s3Peers(ctx context.Context) error {
	if err := command(ctx, b.root, "make", "s3-peers"); err != nil {
		return err
	}
	modules := map[string]string{
		"minio": "github.com/minio/minio-go/v7", "rclone": "github.com/rclone/rclone",
		"manager":         "github.com/aws/aws-sdk-go-v2/feature/s3/manager",
		"transfermanager": "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager",
	}
	for name, module := range modules {
		if err := b.noteVersion(ctx, name, "s3", module); err != nil {
			return err
		}
	}
	return b.noteVersion(ctx, "s5cmd", "s5cmd", "github.com/peak/s5cmd/v2")
}

func (b *bench) s3Peer(name string) string {
	return filepath.Join(filepath.Dir(b.root), "bin", "s3", name)
}

func (b *bench) ourObject(lean bool) func(context.Context, *service, string) *exec.Cmd {
	return func(ctx context.Context, s *service, source string) *exec.Cmd {
		args := []string{"--no-resume", "--name", objectKey}
		if lean {
			args = append(args, "--max-memory", "32MiB") // the least there is
		}
		return s.with(b.uploadCommand(ctx, append(args, source, "s3://"+bucketName+"/")...))
	}
}

func (b *bench) libraryObject(library string, lean bool) func(context.Context, *service, string) *exec.Cmd {
	return func(ctx context.Context, s *service, source string) *exec.Cmd {
		args := []string{"-endpoint", s.endpoint, "-bucket", bucketName, "-key", objectKey}
		if lean {
			args = append(args, "-lean")
		}
		return s.with(exec.CommandContext(ctx, b.s3Peer(library), append(args, source)...))
	}
}

// s5cmdObject: README.md of s5cmd, "Configuring Concurrency": numworkers is how
// many files at once, concurrency how many parts of each; its help: part-size is
// in MiB, 5 the least that S3 takes.
func (b *bench) s5cmdObject(lean bool) func(context.Context, *service, string) *exec.Cmd {
	return func(ctx context.Context, s *service, source string) *exec.Cmd {
		args := []string{"--endpoint-url", s.endpoint}
		if lean {
			args = append(args, "--numworkers", "1")
		}
		verb := []string{"cp"}
		if source == "-" {
			verb = []string{"pipe"}
		}
		if lean {
			verb = append(verb, "--concurrency", "1", "--part-size", "5")
		}
		if source != "-" {
			verb = append(verb, source)
		}
		return s.with(exec.CommandContext(ctx, b.s3Peer("s5cmd"), append(append(args, verb...), "s3://"+bucketName+"/"+objectKey)...))
	}
}

// rcloneObject: rclone's docs, s3.md: "Multipart uploads will use extra memory
// equal to: --transfers × --s3-upload-concurrency × --s3-chunk-size"; docs.md:
// --buffer-size is read ahead of each transfer, "--use-mmap makes rclone return
// buffer memory to the OS as soon as it has finished with it".
func (b *bench) rcloneObject(lean bool) func(context.Context, *service, string) *exec.Cmd {
	return func(ctx context.Context, s *service, source string) *exec.Cmd {
		args := rcloneRemote(s)
		if lean {
			args = append(args, "--transfers", "1", "--s3-upload-concurrency", "1", "--s3-chunk-size", "5Mi",
				"--buffer-size", "0", "--multi-thread-streams", "0", "--use-mmap")
		}
		if source == "-" {
			return s.with(exec.CommandContext(ctx, b.s3Peer("rclone"), append(args, "rcat", ":s3:"+bucketName+"/"+objectKey)...))
		}
		return s.with(exec.CommandContext(ctx, b.s3Peer("rclone"), append(args, "copyto", source, ":s3:"+bucketName+"/"+objectKey)...))
	}
}

// rcloneRemote describes the service without a configuration file.
func rcloneRemote(s *service) []string {
	return []string{
		"--config", "/dev/null", "--log-level", "ERROR", "--s3-provider", "Other", "--s3-env-auth",
		"--s3-endpoint", s.endpoint, "--s3-no-check-bucket",
	}
}
