// Package policy bounds what clients of an upload server may do: which files
// they send, how many uploads and requests they make, how fast their bytes come,
// and how many bytes the server keeps in all.
//
// Use it by server.Options.Policy. A [Policy] is four things for the server: a
// decorator of its uploads and one of its store, a check before an upload is
// finished, and a limit on requests and on the pace of their bodies. Each refusal
// is a *protocol.Refusal with a stable code, a sentence, and the limit.
//
// A client is the owner of the uploads it makes, or else its address; see
// auth.Identity.
//
// # Memory
//
// A client takes a few hundred bytes while one of its requests is under way, and
// for a minute after; of those that do nothing at most 4096 are remembered.
//
// # Concurrency
//
// A [Policy] is safe for concurrent use.
package policy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store"
)

// Options of a Policy. The zero value allows everything.
type Options struct {
	// Types are the media types that may be declared; none is any. With any, the
	// type must be declared, and contents must not contradict it.
	Types []TypePattern
	// Extensions are how names may end; none is any.
	Extensions []Extension
	// CheckSignatures refuses contents that contradict the declared type, also
	// where any type may be declared.
	CheckSignatures bool
	// MaxUploads bounds the uploads that a client has open at once: begun, and not
	// all bytes there. 0 is any.
	MaxUploads int
	// RequestsPerMinute bounds a client's requests for uploads. As many may come
	// at once, and then so many a minute; 0 is any.
	RequestsPerMinute int
	// BytesPerSecond and TotalBytesPerSecond bound the bytes of uploads that are
	// read, from each client and in all. 0 is any.
	BytesPerSecond, TotalBytesPerSecond int64
	// Quota bounds the bytes of all uploads in the store, finished or not. A
	// length that is declared counts from the beginning. 0 is any.
	Quota int64
}

func (o *Options) checksSignatures() bool { return o.CheckSignatures || len(o.Types) > 0 }

func (o *Options) counts() bool { return o.Quota > 0 || o.MaxUploads > 0 }

// A Policy is what Options ask for, over one store.
type Policy struct {
	opts    Options
	store   store.Store
	reader  store.Reader // where signatures are checked
	clients clients
	total   *rate.Limiter // of bytes, or nil
	ledger  *ledger       // where uploads are counted
}

// ReadsContents says whether BeforeFinish reads uploads, which then must be
// store.Spec.Readable.
func (p *Policy) ReadsContents() bool { return p.reader != nil }

// New returns the policy of a server over st. With a Quota or MaxUploads it walks
// the store first, and tells log of uploads that can't be read, and so don't
// count.
//
// Errors: store.ErrInvalid for negative limits, store.ErrUnsupported where st
// must be a store.Lister or a store.Reader and isn't; those of the walk.
func New(ctx context.Context, st store.Store, opts Options, log *slog.Logger) (*Policy, error) {
	if opts.MaxUploads < 0 || opts.RequestsPerMinute < 0 || opts.BytesPerSecond < 0 || opts.TotalBytesPerSecond < 0 || opts.Quota < 0 {
		return nil, fmt.Errorf("policy: %w: a limit is negative", store.ErrInvalid)
	}
	p := &Policy{
		opts:  opts,
		store: st,
		clients: clients{
			bytesPerSecond:    opts.BytesPerSecond,
			requestsPerMinute: opts.RequestsPerMinute,
			byKey:             make(map[string]*client),
		},
		total: newBytesLimiter(opts.TotalBytesPerSecond),
	}
	if opts.checksSignatures() {
		var ok bool
		if p.reader, ok = st.(store.Reader); !ok {
			return nil, fmt.Errorf("policy: %w: checking contents needs a store that can be read", store.ErrUnsupported)
		}
	}
	if !opts.counts() {
		return p, nil
	}
	lister, ok := st.(store.Lister)
	if !ok {
		return nil, fmt.Errorf("policy: %w: a quota, or a limit of uploads, needs a store that lists its uploads", store.ErrUnsupported)
	}
	p.ledger = &ledger{quota: opts.Quota, maxUploads: opts.MaxUploads, open: make(map[string]int)}
	err := p.ledger.load(ctx, lister, func(id string, err error) {
		log.Warn("an upload doesn't count, as it can't be read", "upload", id, "error", err)
	})
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return p, nil
}

// Store returns next with its uploads counted, if they are limited.
func (p *Policy) Store(next Backend) Backend {
	if p.ledger == nil {
		return next
	}
	return &countedStore{Backend: next, ledger: p.ledger}
}

// Uploads returns next with its files checked, if they are limited.
func (p *Policy) Uploads(next protocol.Uploads) protocol.Uploads {
	if len(p.opts.Extensions) == 0 && !p.opts.checksSignatures() {
		return next
	}
	return &checkedUploads{Uploads: next, policy: p}
}

// Request counts one request of the client of ctx, and refuses one too many.
func (p *Policy) Request(ctx context.Context) error {
	most := p.opts.RequestsPerMinute
	if most == 0 {
		return nil
	}
	c := p.clients.use(auth.FromContext(ctx).Key())
	defer p.clients.leave(c)
	now := time.Now()
	r := c.requests.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	r.CancelAt(now)
	return &protocol.Refusal{
		Status:     http.StatusTooManyRequests,
		Code:       protocol.CodeRateLimit,
		Detail:     fmt.Sprintf("you make more than %d requests a minute: wait before the next", most),
		Limit:      int64(most),
		RetryAfter: wait,
		Err:        store.ErrRateLimited,
	}
}

// Throttle returns how fast a body of the client of ctx may be read, or nil for any
// speed. The caller closes it.
func (p *Policy) Throttle(ctx context.Context) *Throttle {
	if p.opts.BytesPerSecond == 0 && p.total == nil {
		return nil
	}
	c := p.clients.use(auth.FromContext(ctx).Key())
	throttle := &Throttle{leave: func() { p.clients.leave(c) }}
	for _, l := range []*rate.Limiter{c.bytes, p.total} {
		if l != nil {
			throttle.limiters = append(throttle.limiters, l)
		}
	}
	return throttle
}
