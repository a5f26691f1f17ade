// Package tusstore sends uploads to a tus 1.0 server: the client side of
// https://tus.io/protocols/resumable-upload as a store.Store.
//
// An upload's id is its URL. A Write is one PATCH that streams its reader, so
// the whole rest of a file is one request, and nothing of it is held here.
//
// # What tus can't promise
//
// A tus server completes an upload with its last byte, so it may be there under
// its URL before Finish; an Upload calls what it wrote itself complete only
// after Finish. Where the sums differ Finish fails, and the caller aborts.
//
// Open ends a Write under way of the same upload. Info and Stat are a HEAD like
// it, at which most servers do so too, wherever the Write comes from. An older
// Upload without a Write under way isn't told that it was taken over: only the
// offset guards the bytes then.
//
// A request that was cut off may reach the server later than the next one, and
// would then end that. So the next one is held back for a tenth of a second.
//
// # Memory
//
// Every Write is charged for its connection, and copies through a buffer of
// the budget where there is room for one. One that compresses takes 1.4 MiB
// more where there is room, kept for the next until memory gets short or Close.
// One connection is set aside from Open to Close, so that who holds a unit gets rid
// of it, whatever else waits for memory.
//
// # Concurrency
//
// A Store is safe for concurrent use, an Upload for one Write at a time.
package tusstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// Options of a Store. The zero value works.
type Options struct {
	// Token is sent as a bearer token (RFC 6750). Like Header, it goes to the
	// endpoint's own origin only.
	Token string
	// Header is added to every request.
	Header http.Header
	// Transport makes the requests; default: one of the Store's own, with
	// timeouts and budgeted buffers. It must not follow redirects or retry.
	Transport http.RoundTripper
}

// A Store is a tus server.
type Store struct {
	endpoint  *url.URL
	header    http.Header
	transport http.RoundTripper
	mem       *memory.Manager

	// connections is charged for the connections of Writes. It guarantees one, so that
	// they never all wait for others.
	connections *memory.Manager

	asking chan struct{} // held by who asks whether the server takes gzip
	gzip   atomic.Int32  // an offer

	forget func() // the hook that drops idle gzippers

	mu      sync.Mutex
	writing map[string]*writing // the Write under way, by upload id
	idle    []*gzipper
	closed  bool // nothing more becomes idle
}

var _ store.Store = (*Store)(nil)

// Open returns a store at the URL where a tus server creates uploads. It does
// no network I/O. Memory is charged to mem, which is required: that of one connection
// is taken at once, so it may fail with memory.ErrFull. A nil opts means defaults.
func Open(endpoint string, mem *memory.Manager, opts *Options) (*Store, error) {
	if opts == nil {
		opts = &Options{}
	}
	if mem == nil {
		return nil, fmt.Errorf("open store: %w: it needs a memory manager", store.ErrInvalid)
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, errors.New("tus endpoint is not a URL") // the text of err could show a password
	}
	if !remote(u) {
		return nil, fmt.Errorf("tus endpoint %s is not an http or https URL", transport.Shown(u))
	}
	s := &Store{endpoint: u, header: opts.Header.Clone(), transport: opts.Transport, mem: mem, writing: make(map[string]*writing), asking: make(chan struct{}, 1)}
	if s.header == nil {
		s.header = make(http.Header)
	}
	if password, ok := u.User.Password(); ok || u.User.Username() != "" {
		r := http.Request{Header: s.header}
		r.SetBasicAuth(u.User.Username(), password)
		u.User = nil // ids show the URL
	}
	if opts.Token != "" {
		s.header.Set("Authorization", "Bearer "+opts.Token)
	}
	s.connections, err = mem.Child("connections of "+transport.Shown(u), &memory.ChildOptions{Guarantee: memory.Cost(transport.ConnectionBytes)})
	if err != nil {
		return nil, fmt.Errorf("open tus endpoint %s: %w", transport.Shown(u), err)
	}
	if s.transport == nil {
		s.transport = transport.New(mem, nil)
	}
	s.forget = mem.OnCleanup(0, func(context.Context) int64 {
		bytes, _ := s.dropGzippers() // only a second release fails
		return bytes
	})
	return s, nil
}

// Close closes idle connections, and gives back idle memory and what is set aside.
// Nothing can be written any more.
func (s *Store) Close() error {
	s.forget()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if t, ok := s.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	_, err := s.dropGzippers()
	return errors.Join(err, s.connections.Close())
}

// Limits implements store.Store: an upload has one offset, so Writes come in
// order. The longest upload the server takes only shows in Create.
func (s *Store) Limits() store.Limits { return store.Limits{Compressed: true} }

// maxMetadataBytes is more than servers take, which refuse by closing the connection
// where it is far more.
const maxMetadataBytes = http.DefaultMaxHeaderBytes

// Create implements store.Store. Name becomes the metadata "filename", unless
// that is there. The Info is made of the spec, without a request.
func (s *Store) Create(ctx context.Context, spec store.Spec) (store.Upload, store.Info, error) {
	u, err := s.create(ctx, spec)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("create upload at %s: %w", transport.Shown(s.endpoint), err)
	}
	return u, u.info, nil
}

func (s *Store) create(ctx context.Context, spec store.Spec) (*Upload, error) {
	header := make(http.Header)
	switch {
	case spec.ID != "":
		return nil, fmt.Errorf("%w: the server chooses ids", store.ErrUnsupported)
	case spec.Length >= 0:
		header.Set(tus.HeaderLength, strconv.FormatInt(spec.Length, 10))
	case spec.Length == store.UnknownLength:
		header.Set(tus.HeaderDeferLength, "1")
	default:
		return nil, fmt.Errorf("%w length %d", store.ErrInvalid, spec.Length)
	}
	metadata := map[string]string{store.MetadataFilename: spec.Name}
	for k, v := range spec.Metadata {
		metadata[k] = v
	}
	encoded, err := tus.EncodeMetadata(metadata)
	if err != nil {
		return nil, err
	}
	if len(encoded) > maxMetadataBytes {
		err := fmt.Errorf("%w: name and metadata take %d bytes in a header", store.ErrInvalid, len(encoded))
		return nil, &store.LimitError{Err: err, Limit: maxMetadataBytes}
	}
	header.Set(tus.HeaderMetadata, encoded)
	a, err := s.do(ctx, &request{method: http.MethodPost, url: s.endpoint, header: header})
	if err != nil {
		return nil, err
	}
	if err := a.check(http.MethodPost); err != nil {
		return nil, err
	}
	location, err := a.url.Parse(a.header.Get("Location"))
	if err != nil || a.header.Get("Location") == "" || !remote(location) {
		return nil, fmt.Errorf("%w: not a tus server: Location %q", store.ErrUnsupported, a.location())
	}
	location.User = nil
	u := s.newUpload(location.String(), location)
	u.info.Name, u.info.Length, u.info.Metadata = metadata[store.MetadataFilename], spec.Length, metadata
	return u, nil
}

// Open implements store.Store.
func (s *Store) Open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	u, err := s.upload(id)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("open upload: %w", err)
	}
	s.mu.Lock()
	if w := s.writing[id]; w != nil {
		w.end(store.ErrSuperseded)
		u.brokeOff()
	}
	s.mu.Unlock()
	info, err := u.Info(ctx)
	if err != nil {
		return nil, store.Info{}, err
	}
	return u, info, nil
}

// Stat implements store.Store.
func (s *Store) Stat(ctx context.Context, id string) (store.Info, error) {
	u, err := s.upload(id)
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload: %w", err)
	}
	return u.Info(ctx)
}

// upload makes an Upload of an id that may be anything.
func (s *Store) upload(id string) (*Upload, error) {
	u, err := url.Parse(id)
	if err != nil || !remote(u) || u.User != nil {
		return nil, fmt.Errorf("%w: %.100q is not the URL of one", store.ErrNotFound, transport.ShownText(id))
	}
	return s.newUpload(id, u), nil
}

func (s *Store) newUpload(id string, at *url.URL) *Upload {
	return &Upload{store: s, id: id, shown: transport.Shown(at), url: at, info: store.Info{ID: id, Length: store.UnknownLength, Location: id}}
}

func remote(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Fragment == ""
}

// sameOrigin: requests to b may carry what is meant for a.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}
