// Package bucket makes the requests of S3 that the stores over it consist of,
// each within the budget: what it sends streams through, and what a request costs
// is known before there is one.
//
// Each method is one request, or one a page of a list, made once: retries are the
// caller's. Its errors are those of package store and say what S3 was asked for.
// No other package knows S3's client.
//
// A Bucket is safe for concurrent use.
package bucket

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Options say where a bucket is and what its service takes. The zero value
// works: Amazon S3, with the credentials of the environment.
type Options struct {
	// Endpoint is the http or https URL of the service. Default: Amazon S3;
	// AWS_ENDPOINT_URL isn't read here.
	Endpoint string
	// Region of the bucket. Where empty, the service is asked for it; AWS_REGION isn't
	// read here.
	Region string
	// PathStyle addresses the bucket in the path, not in the host name. Default:
	// by host name on Amazon S3 and Google Cloud Storage, by path elsewhere.
	PathStyle bool
	// Credentials; default: the AWS_ variables, the files of the AWS tools with
	// AWS_PROFILE, then the role of the container or machine. They are renewed
	// before they expire.
	Credentials Credentials
	// RootCAs verify the service's certificate. Default: those of the system.
	RootCAs *x509.CertPool
	// Transport makes the requests; default: one of the store's own, with
	// timeouts and budgeted buffers. It must not follow redirects or retry.
	Transport http.RoundTripper

	// MaxParts bounds the parts of an upload. Default 10,000; some services
	// take 1,000.
	MaxParts int
	// MaxLength bounds an object, in bytes. Default: what MaxParts parts of
	// 5 GiB hold.
	MaxLength int64
	// EqualParts: the service wants all parts of one size but the last, so that
	// a stream can't be composed of pieces.
	EqualParts bool
	// SignPayload signs every 64 KiB of a part over plain HTTP, for a service
	// that wants it or a network that isn't trusted. It costs a SHA-256 of all
	// bytes. Over TLS it does nothing.
	SignPayload bool

	// Object is what is kept with each object.
	Object ObjectOptions
}

// Credentials are a fixed access key. The zero value is none.
type Credentials struct{ AccessKey, SecretKey, SessionToken string }

// What S3 takes.
const (
	MinPartBytes = 5 << 20 // but for the last part
	MaxPartBytes = 5 << 30
	MaxKeyBytes  = 1024

	defaultMaxParts = 10_000
)

// A Bucket is one of a service.
type Bucket struct {
	core     minio.Core
	creds    *credentials.Credentials
	name     string
	endpoint string // for texts
	mem      *memory.Manager
	opts     Options
	signed   bool // parts are
	close    func()
}

// Open returns a bucket. It does no network I/O. Memory is charged to mem, which
// is required. A nil opts means defaults.
func Open(name string, mem *memory.Manager, opts *Options) (*Bucket, error) {
	if opts == nil {
		opts = &Options{}
	}
	b := &Bucket{name: name, mem: mem, opts: *opts}
	if err := b.configure(); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return b, nil
}

func (b *Bucket) configure() error {
	o := &b.opts
	if b.mem == nil {
		return fmt.Errorf("%w: it needs a memory manager", store.ErrInvalid)
	}
	if err := s3utils.CheckValidBucketName(b.name); err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	if o.MaxParts == 0 {
		o.MaxParts = defaultMaxParts
	}
	if o.MaxParts < 2 {
		return fmt.Errorf("%w: Options.MaxParts is %d: want 2 or more", store.ErrInvalid, o.MaxParts)
	}
	if o.MaxLength == 0 {
		o.MaxLength = MaxPartBytes * int64(o.MaxParts)
	}
	if err := o.Object.check(); err != nil {
		return err
	}
	endpoint := &url.URL{Scheme: "https", Host: "s3.amazonaws.com"}
	if o.Endpoint != "" {
		var err error
		if endpoint, err = url.Parse(o.Endpoint); err != nil || endpoint.Host == "" ||
			(endpoint.Scheme != "http" && endpoint.Scheme != "https") || strings.Trim(endpoint.Path, "/") != "" {
			return fmt.Errorf("%w: the endpoint is no URL of the form https://HOST[:PORT]", store.ErrInvalid)
		}
	}
	b.endpoint = endpoint.Host
	return b.connect(endpoint)
}

func (b *Bucket) connect(endpoint *url.URL) error {
	lookup := minio.BucketLookupAuto
	if b.opts.PathStyle {
		lookup = minio.BucketLookupPath
	}
	b.signed = b.opts.SignPayload && endpoint.Scheme == "http"
	b.creds = newCredentials(b.opts.Credentials, b.opts.Endpoint == "")
	core, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:           b.creds,
		Secure:          endpoint.Scheme == "https",
		Transport:       b.transport(),
		Region:          b.opts.Region,
		BucketLookup:    lookup,
		TrailingHeaders: true,
		MaxRetries:      1, // retries are the caller's
		// A part is longer in its coding.
		UploadLimits: &minio.UploadLimits{MaxPartSize: MaxPartBytes + 1<<10},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	b.core = *core
	return nil
}

// Options returns those it was opened with, and the defaults of the others.
func (b *Bucket) Options() Options { return b.opts }

// URI names an object for people.
func (b *Bucket) URI(key string) string { return "s3://" + b.name + "/" + key }

// Close closes idle connections. The bucket may still be used.
func (b *Bucket) Close() error {
	b.close()
	return nil
}
