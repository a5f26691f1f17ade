// Package clusterstore keeps the uploads of a server in an S3 bucket: the server's
// nodes share the bucket and nothing else, and any of them goes on with any
// upload.
//
// Use it for `streamflow serve --store s3://…`, also with one node. An upload has
// one offset, as clients of a server see it; a file that lies somewhere goes to a
// bucket by package s3store, whose parts come in any order.
//
// # Layout
//
// Below the prefix an upload has
//
//   - .streamflow/uploads/ID, its state: which bytes are there, and where. It is
//     only ever written on the condition that it is still what was read.
//   - .streamflow/data/ID/, what its state names and isn't at its place yet.
//   - a multipart upload of ID, its final key, if it has more than 5 MiB.
//   - .streamflow/finished/ID, once it is finished, with name and metadata; and ID,
//     the object.
//
// # What is acknowledged
//
// What the state says. Bytes stream into parts as they arrive. What is less than
// S3 takes for a part, 5 MiB, becomes an object before the answer goes out, and
// goes into the next part. A part can't end before the size it was begun with, so
// where a body of known size breaks off up to one part of it is lost, and sent
// again. The upload remembers that, and holds the bytes of its next bodies in the
// budget until each is stored; so does a body of unknown size. No byte that was
// held is lost, and a client that never sends more than a little before it breaks
// off gets on all the same.
//
// # Several nodes
//
// While bytes come a Write says so in the state, whether or not any of them is
// acknowledged, before that is older than a quarter of an hour. Who takes an upload for
// abandoned should leave it more time than that.
//
// Opening an upload that another process wrote to last begins a new epoch, by a
// write of the state. Each later write of the state by the old owner fails, with
// store.ErrSuperseded, and so acknowledges nothing. Its late parts change nothing
// either: the new owner writes to a multipart upload of its own.
//
// # Memory
//
// A Write that has got its first bytes is charged for two connections, 64 KiB of
// buffer and the state; more where bytes are held. Other calls are charged for
// their connection and the state. Who finds no room for ten seconds is told so, by a
// *store.TransientError that is memory.ErrFull.
//
// # Errors
//
// Those of package store, where they are about the upload. What is wrong with the
// bucket, the credentials or the service is none of those, however long it stays:
// the upload is as it was, and goes on once that is right. Only [Store.Probe] says
// which it is.
//
// # Concurrency
//
// A Store and its Uploads are safe for concurrent use. The calls of one Upload
// that change it wait for each other.
package clusterstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Options say where a bucket is and what its service takes. The zero value
// works: Amazon S3, with the credentials of the environment. Endpoint, Region and
// PathStyle say where it is, and no variable or file does; Credentials, RootCAs and
// Transport, how it is reached; MaxParts, MaxLength and SignPayload, what the
// service takes, but not EqualParts; Object, what is kept with each object. Defaults
// and units are at
//
//	go doc github.com/streamflow/streamflow/internal/bucket.Options
type Options = bucket.Options

// Credentials are a fixed access key: AccessKey, SecretKey, and SessionToken where
// there is one. The zero value is none.
type Credentials = bucket.Credentials

// A Store is a bucket, or what lies under a prefix in it. Make one with [Open].
type Store struct {
	bucket *bucket.Bucket
	prefix string // of keys: "" or ends in a slash
	mem    *memory.Manager
	opts   Options
	node   string // names this process in the states it writes
	// As the constants of these names.
	refreshInterval, memoryTimeout time.Duration

	doubts doubts

	mu   sync.Mutex
	open map[string]weak.Pointer[Upload] // the last Upload opened, by id
}

var _ store.Store = (*Store)(nil)

// Open returns a store of a bucket. Keys are ids behind prefix and a slash; an
// empty prefix is the whole bucket. It does no network I/O; see [Store.Probe].
// Memory is charged to mem, which is required. A nil opts means defaults.
func Open(name, prefix string, mem *memory.Manager, opts *Options) (*Store, error) {
	b, err := bucket.Open(name, mem, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		bucket: b, mem: mem, opts: b.Options(), node: rand.Text(),
		refreshInterval: refreshInterval, memoryTimeout: memoryTimeout,
		open: make(map[string]weak.Pointer[Upload]),
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		s.prefix = prefix + "/"
	}
	switch {
	case s.opts.EqualParts:
		return nil, fmt.Errorf("open bucket %s: %w: parts that must be of one size", name, store.ErrUnsupported)
	case len(s.prefix) > maxPrefixBytes:
		return nil, fmt.Errorf("open bucket %s: %w: a prefix of more than %d bytes", name, store.ErrInvalid, maxPrefixBytes)
	}
	return s, nil
}

// Close closes idle connections. Uploads may still be used.
func (s *Store) Close() error { return s.bucket.Close() }

// Probe makes each kind of request once, so that a missing permission shows before
// anything is taken, and asks whether the service keeps its word about conditional
// writes, on which everything here rests.
//
// Errors: store.ErrUnsupported where it doesn't; store.ErrDenied and
// store.ErrNotFound, of the bucket; those of the requests.
func (s *Store) Probe(ctx context.Context) error {
	// As of an upload that isn't there: where this process is killed, RemoveOrphans
	// finds what is left.
	key := s.newDataKey(uploadid.New())
	err := s.probeConditions(ctx, key)
	if err == nil {
		err = s.probeReads(ctx, key)
	}
	if err == nil {
		err = s.probeMultipart(ctx, key)
	}
	if removed := s.bucket.Remove(context.WithoutCancel(ctx), key); err == nil {
		err = removed
	}
	if err != nil {
		return fmt.Errorf("probe %s: %w", s.bucket.URI(s.prefix), err)
	}
	return nil
}

func (s *Store) probeConditions(ctx context.Context, key string) error {
	put := func(when bucket.Precondition) (bucket.Object, error) {
		o := bucket.Object{Key: key, Size: 1}
		err := s.bucket.PutPiece(ctx, &o, strings.NewReader("?"), when)
		return o, err
	}
	first, err := put(bucket.Absent)
	if err != nil {
		return err
	}
	for _, when := range []bucket.Precondition{bucket.Absent, bucket.Precondition(strings.Repeat("0", 32))} {
		switch _, err := put(when); {
		case err == nil:
			return fmt.Errorf("%w: the service ignores If-Match and If-None-Match, and without them "+
				"two requests for one upload would lose acknowledged bytes", store.ErrUnsupported)
		case !errors.Is(err, store.ErrExists):
			return fmt.Errorf("a conditional write: %w", err)
		}
	}
	if _, err := put(bucket.Precondition(first.ETag)); err != nil {
		return fmt.Errorf("a conditional write: %w", err)
	}
	return nil
}

// probeReads also has S3 say of an object that it isn't there, which it does only to
// those who may list.
func (s *Store) probeReads(ctx context.Context, key string) error {
	r, _, err := s.bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	if _, err := s.bucket.Head(ctx, key+"-none"); err != nil && !isAbsent(err) {
		return err
	}
	for _, err := range s.bucket.Objects(ctx, key) {
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) probeMultipart(ctx context.Context, key string) error {
	m, err := s.bucket.CreatePiece(ctx, key)
	if err != nil {
		return err
	}
	for _, listErr := range s.bucket.Multiparts(ctx, key) {
		if listErr != nil {
			err = fmt.Errorf("without it what nodes leave that die would stay forever: %w", listErr)
		}
	}
	if aborted := s.bucket.AbortMultipart(context.WithoutCancel(ctx), m); err == nil {
		err = aborted
	}
	return err
}

// Limits implements store.Store.
func (s *Store) Limits() store.Limits {
	return store.Limits{ChosenIDs: true, Verified: true, ContentCoding: true, MaxLength: s.opts.MaxLength}
}

// reserveGet takes the memory of a request that gets something, and of a state of so
// many bytes in JSON.
func (s *Store) reserveGet(ctx context.Context, stateBytes int64) (memory.Reservation, error) {
	return s.reserve(ctx, bucket.GetBytes, stateCost*stateBytes)
}

// reserveSend is reserveGet with a request that sends something meanwhile.
func (s *Store) reserveSend(ctx context.Context, stateBytes int64) (memory.Reservation, error) {
	return s.reserve(ctx, s.sendSizes(stateBytes)...)
}

// memoryTimeout is how long a call waits for memory: who holds it may have a slow
// client.
const memoryTimeout = 10 * time.Second

var errMemory = &store.TransientError{Err: memory.ErrFull, RetryAfter: 5 * time.Second}

func (s *Store) reserve(ctx context.Context, sizes ...int64) (memory.Reservation, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.memoryTimeout, errMemory)
	defer cancel()
	return s.mem.Reserve(ctx, memory.KindConnection, sizes...)
}

func (s *Store) sendSizes(stateBytes int64) []int64 {
	return []int64{s.bucket.RequestBytes(), bucket.GetBytes, stateCost * stateBytes}
}
