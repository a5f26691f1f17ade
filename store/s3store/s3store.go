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
// list of parts. The memory of one Write is set aside from Open to Close, so that who
// holds a unit gets rid of it, whatever else waits for memory. A unit whose size is
// unknown is held in a buffer of the budget, as S3 wants to know the size of a part
// before its first byte.
//
// # Concurrency
//
// A Store and an Upload are safe for concurrent use.
package s3store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"weak"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Options say where a bucket is and what its service takes. The zero value
// works: Amazon S3, with the credentials of the environment. Endpoint, Region and
// PathStyle say where it is, and no variable or file does; Credentials, RootCAs and
// Transport, how it is reached; MaxParts, MaxLength, EqualParts and SignPayload, what
// the service takes; Object, what is kept with each object. Defaults and units are at
//
//	go doc github.com/streamflow/streamflow/internal/bucket.Options
type Options = bucket.Options

// Credentials are a fixed access key: AccessKey, SecretKey, and SessionToken where
// there is one. The zero value is none.
type Credentials = bucket.Credentials

// ObjectOptions are what S3 keeps with every object of a Store: ContentType,
// CacheControl, StorageClass, ACL, SSE with KMSKey, and Tags. The zero value leaves
// all to the bucket.
type ObjectOptions = bucket.ObjectOptions

// A Store is a bucket, or what lies under a prefix in it.
type Store struct {
	bucket *bucket.Bucket
	prefix string // of keys: "" or ends in a slash
	mem    *memory.Manager
	opts   Options

	// connections is charged for the requests that bring what the caller may hold
	// memory for. It guarantees one of them, so that they never all wait for others.
	connections *memory.Manager

	mu   sync.Mutex
	open map[string]weak.Pointer[Upload] // the last Upload opened, by multipart id
}

var (
	_ store.Store  = (*Store)(nil)
	_ store.Finder = (*Store)(nil)
	_ store.Putter = (*Store)(nil)
)

// Open returns a store of a bucket. Keys are the names of objects behind prefix
// and a slash; an empty prefix is the whole bucket. It does no network I/O.
// Memory is charged to mem, which is required: that of one Write is taken at once, so
// it may fail with memory.ErrFull. A nil opts means defaults.
func Open(name, prefix string, mem *memory.Manager, opts *Options) (*Store, error) {
	b, err := bucket.Open(name, mem, opts)
	if err != nil {
		return nil, err
	}
	connections, err := mem.Child("connections of "+b.URI(""), &memory.ChildOptions{Guarantee: memory.Cost(b.PutBytes(store.Sum{}))})
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, errors.Join(err, b.Close()))
	}
	s := &Store{bucket: b, mem: mem, connections: connections, opts: b.Options(), open: make(map[string]weak.Pointer[Upload])}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		s.prefix = prefix + "/"
	}
	return s, nil
}

// Close closes idle connections, and gives back what is set aside. Nothing can be
// written any more.
func (s *Store) Close() error {
	return errors.Join(s.bucket.Close(), s.connections.Close())
}

// Limits implements store.Store.
func (s *Store) Limits() store.Limits {
	return store.Limits{
		Unordered:     true,
		ContentCoding: true,
		MinUnitBytes:  bucket.MinPartBytes,
		MaxUnitBytes:  bucket.MaxPartBytes,
		MaxUnits:      s.opts.MaxParts,
		MaxLength:     s.opts.MaxLength,
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
	if spec.NoReplace {
		// Only the end decides, but what would come to nothing needn't be sent.
		if _, err := s.bucket.Head(ctx, a.Key); err == nil {
			return nil, store.ErrExists
		}
	}
	a.Multipart, err = s.bucket.CreateMultipart(ctx, a.Key, bucket.Object{Metadata: spec.Metadata, Mark: a.Mark, Coding: spec.ContentCoding, Sniffed: bucket.MediaType(spec.Head)})
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
		unit = max(bucket.MinPartBytes, (spec.Length+most-1)/most)
	}
	switch {
	case spec.ID != "":
		return address{}, fmt.Errorf("%w: S3 makes the ids of uploads itself", store.ErrUnsupported)
	case spec.Length < store.UnknownLength || unit < 0:
		return address{}, fmt.Errorf("%w: length %d in units of %d", store.ErrInvalid, spec.Length, unit)
	case spec.Length > s.opts.MaxLength:
		return address{}, fmt.Errorf("%w: %d bytes, %d at most", store.ErrTooLarge, spec.Length, s.opts.MaxLength)
	case unit > bucket.MaxPartBytes || (unit < bucket.MinPartBytes && (spec.Length < 0 || spec.Length > unit)):
		return address{}, fmt.Errorf("%w: units of %d bytes: S3 wants %d to %d", store.ErrInvalid, unit, bucket.MinPartBytes, bucket.MaxPartBytes)
	case spec.Length > unit*most:
		return address{}, fmt.Errorf("%w: %d bytes in %d parts of %d", store.ErrTooLarge, spec.Length, most, unit)
	}
	key, err := s.key(spec.Name)
	if err != nil {
		return address{}, err
	}
	return address{bucket.Multipart{Key: key}, terms{spec.Length, unit, spec.NoReplace, newMark()}}, nil
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

func (s *Store) uri(key string) string { return s.bucket.URI(key) }
