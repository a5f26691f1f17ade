package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

const (
	catLong = `Write one uploaded file to standard output, for checking.

DESTINATION is what upload has printed: a file, a file:// URL, the http:// or https://
URL at a server that allows reading, or s3://BUCKET/KEY. Where a checksum is known
there it is compared: exit code 7 if it differs. Bytes come as they are stored,
compressed or encrypted if so.`

	catExample = `  streamflow cat http://127.0.0.1:8080/files/24e533e02ec3bc40c387f1a0e460e216 | cmp - disk.iso
  streamflow cat s3://backups/dump.sql.age | age -d -i key.txt >dump.sql`
)

// answerTimeout is how long a server may take to begin its answer.
const answerTimeout = 60 * time.Second

type catFlags struct {
	tokenFile string
	s3        s3Flags
}

func newCatCommand() *cobra.Command {
	var f catFlags
	cmd := &cobra.Command{
		Use:     "cat [flags] DESTINATION",
		Short:   "Write one uploaded file to standard output",
		Long:    catLong,
		Example: catExample,
		Args:    one("DESTINATION"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd, args[0])
		},
		DisableFlagsInUseLine: true,
	}
	g := newFlagGroup("Cat")
	g.flags.StringVar(&f.tokenFile, "token-file", "", "file with the token to send to the server")
	addFlags(cmd, g, f.s3.group())
	return cmd
}

func (f *catFlags) run(cmd *cobra.Command, at string) (err error) {
	object, sum, err := f.open(cmd, at)
	if err != nil {
		return err
	}
	defer closing(&err, object)
	sent := &summingWriter{w: cmd.OutOrStdout()}
	if _, err := io.Copy(sent, object); err != nil {
		if cmd.Context().Err() != nil {
			err = context.Cause(cmd.Context())
		}
		return fmt.Errorf("read %s: %w", transport.ShownText(at), err)
	}
	if sum.Known && sum.CRC32C != sent.sum {
		return fmt.Errorf("read %s: %w: %08x came, %08x is what the server has", transport.ShownText(at), store.ErrChecksum, sent.sum, sum.CRC32C)
	}
	return nil
}

// open begins to read what is at a URL or path, with its sum if known.
func (f *catFlags) open(cmd *cobra.Command, at string) (io.ReadCloser, store.Sum, error) {
	scheme, rest, isURL := strings.Cut(at, "://")
	if at == "" {
		return nil, store.Sum{}, usagef(cmd, "the destination is empty")
	}
	if !isURL {
		return openLocal(cmd, at)
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		token, err := readToken(f.tokenFile)
		if err != nil {
			return nil, store.Sum{}, err
		}
		return openRemote(cmd, at, token)
	case "s3":
		return f.openBucket(cmd, at)
	case "file":
		path, err := localPath(cmd, at, rest)
		if err != nil {
			return nil, store.Sum{}, err
		}
		return openLocal(cmd, path)
	default:
		return nil, store.Sum{}, usagef(cmd, "destination: scheme %q is none of file, http, https, s3", scheme)
	}
}

// openBucket begins to read an object. What holds its connection ends with it.
func (f *catFlags) openBucket(cmd *cobra.Command, at string) (io.ReadCloser, store.Sum, error) {
	dst, err := parseBucket(cmd, at)
	if err != nil {
		return nil, store.Sum{}, err
	}
	if dst.prefix == "" {
		return nil, store.Sum{}, usagef(cmd, "destination %s: want s3://BUCKET/KEY", at)
	}
	mem, err := memory.New(nil)
	if err != nil {
		return nil, store.Sum{}, err
	}
	bucket, err := f.s3.open(dst.bucket, "", mem)
	if err != nil {
		return nil, store.Sum{}, errors.Join(fmt.Errorf("destination %s: %w", at, err), mem.Close())
	}
	object, info, err := bucket.OpenObject(cmd.Context(), dst.prefix)
	if err != nil {
		return nil, store.Sum{}, errors.Join(err, bucket.Close(), mem.Close())
	}
	return &openObject{object, []io.Closer{object, bucket, mem}}, info.Sum, nil
}

// An openObject is read, and then closed with what it needs.
type openObject struct {
	io.Reader
	closers []io.Closer
}

func (o *openObject) Close() (err error) {
	for _, c := range o.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// A localFile is closed when its context ends, also to wake a Read that waits.
type localFile struct {
	*os.File
	close func() error // once
}

func (f localFile) Close() error { return f.close() }

func openLocal(cmd *cobra.Command, path string) (io.ReadCloser, store.Sum, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, store.Sum{}, fmt.Errorf("destination %s: %w", path, errors.Unwrap(err))
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close() // nothing was read
		return nil, store.Sum{}, usagef(cmd, "destination %s is a directory: want one file, as list shows them", path)
	}
	local := localFile{f, sync.OnceValue(f.Close)}
	context.AfterFunc(cmd.Context(), func() { _ = local.Close() })
	return local, store.Sum{}, nil
}

func openRemote(cmd *cobra.Command, at, token string) (io.ReadCloser, store.Sum, error) {
	r, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, store.Sum{}, usagef(cmd, "the destination is no URL: want http://HOST/PATH") // err could show a password
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set(protocol.HeaderWantReprDigest, protocol.WantDigest)
	patient := http.DefaultTransport.(*http.Transport).Clone()
	patient.ResponseHeaderTimeout = answerTimeout
	resp, err := (&http.Client{Transport: patient}).Do(r)
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err // its text has the whole URL
	}
	if err != nil {
		return nil, store.Sum{}, fmt.Errorf("read %s: reach the server: %w", transport.Shown(r.URL), err)
	}
	if err := answered(resp); err != nil {
		return nil, store.Sum{}, fmt.Errorf("read %s: %w", transport.Shown(r.URL), errors.Join(err, resp.Body.Close()))
	}
	return resp.Body, protocol.ParseDigest(resp.Header.Get(protocol.HeaderReprDigest)), nil
}

// answered says why there is no file in an answer.
func answered(resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %s", store.ErrDenied, resp.Status)
	case http.StatusNotFound, http.StatusGone:
		return fmt.Errorf("%w: %s", store.ErrNotFound, resp.Status)
	default:
		return fmt.Errorf("the server answers %s", resp.Status)
	}
}

// A summingWriter keeps the CRC-32C of what passes.
type summingWriter struct {
	w   io.Writer
	sum uint32
}

func (s *summingWriter) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.sum = checksum.Update(s.sum, p[:n])
	return n, err
}
