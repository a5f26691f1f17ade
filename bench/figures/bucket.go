package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/streamflow/streamflow/internal/readiness"
	"github.com/streamflow/streamflow/internal/s3test"
)

const bucketName = "figures"

// A service is an S3 server under which nothing but the bucket "figures" is.
type service struct {
	*process
	endpoint string
	ca       string                          // certificate to trust; "" over plain HTTP
	dir      string                          // of the bucket, where it keeps what it gets
	restart  func(ctx context.Context) error // starts its process again
}

// with lets a command find the service. More is added to its environment.
func (s *service) with(cmd *exec.Cmd, more ...string) *exec.Cmd {
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+s3test.AccessKey, "AWS_SECRET_ACCESS_KEY="+s3test.SecretKey,
		"AWS_REGION="+s3test.Region, "AWS_ENDPOINT_URL="+s.endpoint)
	if s.ca != "" {
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+s.ca, "AWS_CA_BUNDLE="+s.ca)
	}
	cmd.Env = append(cmd.Env, more...)
	return cmd
}

// empty throws away what is in the bucket, and waits until the disk is done with it:
// else whoever comes next pays for what the one before had it write and free.
func (s *service) empty() error {
	if s.dir == "" {
		return nil
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("empty the bucket: %w", err)
	}
	unix.Sync()
	return os.Mkdir(s.dir, 0o755)
}

// startGateway starts versitygw over a directory of its own.
func (b *bench) startGateway(ctx context.Context, secure bool) (*service, error) {
	top := filepath.Dir(b.root)
	if err := command(ctx, top, "make", "peers"); err != nil {
		return nil, err
	}
	if err := b.noteVersion(ctx, "versitygw", ".", "github.com/versity/versitygw"); err != nil {
		return nil, err
	}
	dir, err := b.emptyDir("gateway")
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s := &service{endpoint: "http://" + address, dir: filepath.Join(dir, "buckets", bucketName)}
	args := []string{"--port", address, "--region", s3test.Region, "--quiet", "--keep-alive"}
	if secure {
		cert, key, err := s3test.Certificate(dir)
		if err != nil {
			return nil, fmt.Errorf("make a certificate: %w", err)
		}
		s.endpoint, s.ca = "https://"+address, cert
		args = append(args, "--cert", cert, "--key", key)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the bucket: %w", err)
	}
	s.restart = func(ctx context.Context) error {
		cmd := exec.CommandContext(ctx, filepath.Join(top, "bin", "versitygw"), append(args, "posix", filepath.Dir(s.dir))...)
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY_ID="+s3test.AccessKey, "ROOT_SECRET_ACCESS_KEY="+s3test.SecretKey)
		p, err := startAt(ctx, cmd, s.endpoint)
		if err != nil {
			return err
		}
		s.process = p
		return nil
	}
	return s, s.restart(ctx)
}

// startSink starts the server that keeps no bytes, with flags of its own.
func (b *bench) startSink(ctx context.Context, flags ...string) (*service, error) {
	binary := filepath.Join(b.work, "sink")
	if err := command(ctx, b.root, "go", "build", "-o", binary, "./sink"); err != nil {
		return nil, err
	}
	p, url, err := startAnnounced(exec.CommandContext(ctx, binary, flags...))
	if err != nil {
		return nil, err
	}
	return &service{process: p, endpoint: url}, nil
}

// startAt starts a server that answers at a URL, and waits until it does.
func startAt(ctx context.Context, cmd *exec.Cmd, url string) (*process, error) {
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	if err := readiness.Wait(ctx, url, p.done); err != nil {
		p.kill()
		_, ended := p.wait()
		return nil, errors.Join(err, ended)
	}
	return p, nil
}

// startAnnounced starts a server that prints its URL.
func startAnnounced(cmd *exec.Cmd) (*process, string, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, "", fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	defer read.Close()
	cmd.Stdout = write
	p, err := start(cmd)
	if err = errors.Join(err, write.Close()); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		p.kill()
		return nil, "", fmt.Errorf("start %s: %w: %s", cmd.Path, err, lastLines(p.stderr.String()))
	}
	return p, strings.TrimSpace(line), nil
}

// counts is how often the sink's operations were called, and "bytes".
func (s *service) counts(ctx context.Context) (map[string]int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+"/.counts", nil)
	if err != nil {
		return nil, fmt.Errorf("ask the sink: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the sink: %w", err)
	}
	defer resp.Body.Close()
	counts := map[string]int64{}
	if err := json.NewDecoder(resp.Body).Decode(&counts); err != nil {
		return nil, fmt.Errorf("ask the sink: %w", err)
	}
	return counts, nil
}
