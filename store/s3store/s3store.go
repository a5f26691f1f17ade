// Package s3store keeps uploads in an S3 bucket: Amazon's, or any other that
// speaks its protocol.
//
// An upload is one multipart upload, its units are the parts. A part streams
// from where it lies, with its CRC-32C in a trailer, so nothing of it is held
// here. ListParts is the truth about what has arrived: nothing is kept beside
// the bucket, and an upload's id names all that is needed to find it again.
//
// # What S3 can't promise
//
// S3 doesn't tell who writes. Open ends the Writes under way of the same upload
// in this process; a Write of another process goes on and replaces the part it
// writes. The sum of the whole object, which S3 compares in Finish, keeps bytes
// of two writers from becoming one object.
//
// A length from SetLength and the metadata of an unfinished upload are known to
// the Upload they were given to, and not to one opened later.
//
// # Memory
//
// A Write is charged for its connection and what signing takes, Finish for the
// list of parts. A unit whose size is unknown is held in a buffer of the budget,
// as S3 wants to know the size of a part before its first byte.
//
// # Concurrency
//
// A Store and an Upload are safe for concurrent use.
package s3store

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"weak"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Options of a Store. The zero value works: Amazon S3, with the credentials of
// the environment.
type Options struct {
	// Endpoint is the http or https URL of the service. Default: Amazon S3.
	Endpoint string
	// Region of the bucket. Where empty, the service is asked for it.
	Region string
	// PathStyle addresses the bucket in the path, not in the host name. Default:
	// by host name on Amazon S3 and Google Cloud Storage, by path elsewhere.
	PathStyle bool
	// Credentials; default: the AWS_ variables, the shared credentials file with
	// AWS_PROFILE, then the role of the container or machine. They are renewed
	// before they expire.
	Credentials Credentials
	// RootCAs verify the service's certificate. Default: those of the system.
	RootCAs *x509.CertPool
	// Transport makes the requests; default: one of the Store's own, with
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

	Object ObjectOptions
}

// Credentials are a fixed access key. The zero value is none.
type Credentials struct{ AccessKey, SecretKey, SessionToken string }

const (
	minPartBytes    = 5 << 20
	maxPartBytes    = 5 << 30
	defaultMaxParts = 10_000
)

// A Store is a bucket, or what lies under a prefix in it.
type Store struct {
	core     minio.Core
	creds    *credentials.Credentials
	bucket   string
	prefix   string // of keys: "" or ends in a slash
	endpoint string // for texts
	mem      *memory.Manager
	opts     Options
	signed   bool // parts are
	close    func()

	mu   sync.Mutex
	open map[string]weak.Pointer[Upload] // the last Upload opened, by multipart id
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Finder = (*Store)(nil)
)

// Open returns a store of a bucket. Keys are the names of objects behind prefix
// and a slash; an empty prefix is the whole bucket. It does no network I/O.
// Memory is charged to mem, which is required. A nil opts means defaults.
func Open(bucket, prefix string, mem *memory.Manager, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	s := &Store{bucket: bucket, mem: mem, opts: *opts, open: make(map[string]weak.Pointer[Upload])}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		s.prefix = prefix + "/"
	}
	if err := s.configure(); err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	return s, nil
}

func (s *Store) configure() error {
	o := &s.opts
	if s.mem == nil {
		return fmt.Errorf("%w: it needs a memory manager", store.ErrInvalid)
	}
	if o.MaxParts == 0 {
		o.MaxParts = defaultMaxParts
	}
	if o.MaxParts < 2 {
		return fmt.Errorf("%w: Options.MaxParts is %d: want 2 or more", store.ErrInvalid, o.MaxParts)
	}
	if o.MaxLength == 0 {
		o.MaxLength = maxPartBytes * int64(o.MaxParts)
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
	s.endpoint = endpoint.Host
	return s.connect(endpoint)
}

func (s *Store) connect(endpoint *url.URL) error {
	lookup := minio.BucketLookupAuto
	if s.opts.PathStyle {
		lookup = minio.BucketLookupPath
	}
	s.signed = s.opts.SignPayload && endpoint.Scheme == "http"
	s.creds = newCredentials(s.opts.Credentials, s.opts.Endpoint == "")
	core, err := minio.NewCore(endpoint.Host, &minio.Options{
		Creds:           s.creds,
		Secure:          endpoint.Scheme == "https",
		Transport:       s.transport(),
		Region:          s.opts.Region,
		BucketLookup:    lookup,
		TrailingHeaders: true,
		MaxRetries:      1, // the engine retries
		// A part is longer in its coding.
		UploadLimits: &minio.UploadLimits{MaxPartSize: maxPartBytes + 1<<10},
	})
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	}
	s.core = *core
	return nil
}

// Close closes idle connections. Uploads may still be used.
func (s *Store) Close() error {
	s.close()
	return nil
}

// Limits implements store.Store.
func (s *Store) Limits() store.Limits {
	return store.Limits{
		Unordered:    true,
		MinUnitBytes: minPartBytes,
		MaxUnitBytes: maxPartBytes,
		MaxUnits:     s.opts.MaxParts,
		MaxLength:    s.opts.MaxLength,
	}
}

// Create implements store.Store.
func (s *Store) Create(ctx context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	u, err := s.create(ctx, spec)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("create upload of %s: %w", s.uri(s.prefix+spec.Name), err)
	}
	return u, u.newInfo(), nil
}

func (s *Store) create(ctx context.Context, spec store.Spec) (*Upload, error) {
	a, err := s.newAddress(spec)
	if err != nil {
		return nil, err
	}
	headers, err := s.opts.Object.headers(a.Key, spec.Metadata, a.Mark)
	if err != nil {
		return nil, err
	}
	err = s.call(ctx, createMultipart, func(ctx context.Context) (err error) {
		a.Multipart, err = s.core.NewMultipartUpload(ctx, s.bucket, a.Key, headers)
		if err == nil && a.Multipart == "" {
			err = errNoS3
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	u := s.upload(a)
	u.metadata, u.created = spec.Metadata, true
	s.takeOver(u)
	return u, nil
}

// newAddress checks a spec and names the upload, but for S3's own id.
func (s *Store) newAddress(spec store.Spec) (address, error) {
	unit, most := spec.UnitBytes, int64(s.opts.MaxParts)
	if unit == 0 {
		unit = max(minPartBytes, (spec.Length+most-1)/most)
	}
	switch {
	case spec.ID != "":
		return address{}, fmt.Errorf("%w: S3 makes the ids of uploads itself", store.ErrUnsupported)
	case spec.Length < store.UnknownLength || unit < 0:
		return address{}, fmt.Errorf("%w: length %d in units of %d", store.ErrInvalid, spec.Length, unit)
	case spec.Length > s.opts.MaxLength:
		return address{}, fmt.Errorf("%w: %d bytes, %d at most", store.ErrTooLarge, spec.Length, s.opts.MaxLength)
	case unit > maxPartBytes || (unit < minPartBytes && (spec.Length < 0 || spec.Length > unit)):
		return address{}, fmt.Errorf("%w: units of %d bytes: S3 wants %d to %d", store.ErrInvalid, unit, minPartBytes, maxPartBytes)
	case spec.Length > unit*most:
		return address{}, fmt.Errorf("%w: %d bytes in %d parts of %d", store.ErrTooLarge, spec.Length, most, unit)
	}
	key, err := s.key(spec.Name)
	if err != nil {
		return address{}, err
	}
	return address{place{Key: key}, terms{spec.Length, unit, spec.NoReplace, newMark()}}, nil
}

// Open implements store.Store.
func (s *Store) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	a, err := s.parseID(id)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("open upload: %w", err)
	}
	u := s.upload(a)
	info, err := u.Info(ctx)
	if err != nil {
		return nil, store.Info{}, err
	}
	s.takeOver(u)
	return u, info, nil
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, id string) (store.Info, error) {
	a, err := s.parseID(id)
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload: %w", err)
	}
	return s.upload(a).Info(ctx)
}

func (s *Store) uri(key string) string { return "s3://" + s.bucket + "/" + key }
