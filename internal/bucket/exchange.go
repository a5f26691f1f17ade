package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/streamflow/streamflow/internal/transport"
)

// settleTimeout bounds how long an answer is waited for once nobody wants it any more.
const settleTimeout = 5 * time.Second

// stallTimeout is how long S3 may send nothing of an answer that has begun.
const stallTimeout = 60 * time.Second

// An exchange is what S3's client doesn't tell of a request and its answer.
type exchange struct {
	// sent is closed when the transport is done with the body, and with the
	// memory it took for it.
	sent       chan struct{}
	token      string // of the session that it is signed for
	retryAfter time.Duration
	html       bool
	skew       time.Duration // by which this machine's clock is ahead

	// Of whole and cut, the one that is set first wins: both are set before the
	// other is looked at.
	whole atomic.Bool // the transport has all of the request
	cut   atomic.Bool // it must not get the rest
}

type exchangeKey struct{}

// begin returns the context of a request. It ends with ctx; but an action that settles
// waits for the answer where S3 may have the whole request by then. Else a part could
// arrive behind the end of its upload, which would then stay for ever, or an upload be
// made whose id nobody knows.
func (x *exchange) begin(ctx context.Context, a action) (context.Context, context.CancelFunc) {
	if !a.settles {
		return context.WithCancel(context.WithValue(ctx, exchangeKey{}, x))
	}
	sending, cancel := context.WithCancel(context.WithValue(context.WithoutCancel(ctx), exchangeKey{}, x))
	stop := context.AfterFunc(ctx, func() {
		if x.cut.Store(true); x.whole.Load() {
			time.AfterFunc(settleTimeout, cancel)
		} else {
			cancel()
		}
	})
	return sending, func() {
		stop()
		cancel()
	}
}

// complete is called before the transport gets the last of a request, and perhaps
// after. The error says that it must not get it.
func (x *exchange) complete() error {
	if !x.whole.Swap(true) && x.cut.Load() {
		return context.Canceled
	}
	return nil
}

// observer notes answers in the exchange of their context.
type observer struct{ next http.RoundTripper }

func (o observer) RoundTrip(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok || r.URL.Query().Has("location") {
		return o.next.RoundTrip(r) // the client asks for the region by itself
	}
	x.token = r.Header.Get("X-Amz-Security-Token")
	ctx, cancel := context.WithCancel(r.Context())
	r = r.WithContext(ctx) // a copy
	if r.Body != nil && r.Body != http.NoBody {
		x.sent = make(chan struct{})
		r.Body = x.watch(r.Body, r.ContentLength)
	} else if err := x.complete(); err != nil {
		cancel()
		return nil, err
	}
	resp, err := o.next.RoundTrip(r)
	if err != nil {
		cancel()
		return nil, err
	}
	resp.Body = newAnswer(resp.Body, cancel)
	x.retryAfter = transport.RetryAfter(resp.Header)
	x.html = strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		x.skew = time.Since(at).Round(time.Second)
	}
	return resp, nil
}

// An answer is the body of one. It breaks off the request once nothing comes any more.
type answer struct {
	io.ReadCloser
	cancel  context.CancelFunc
	stalled *time.Timer
}

func newAnswer(body io.ReadCloser, cancel context.CancelFunc) *answer {
	stalled := time.AfterFunc(stallTimeout, cancel)
	stalled.Stop()
	return &answer{body, cancel, stalled}
}

func (a *answer) Read(p []byte) (int, error) {
	a.stalled.Reset(stallTimeout)
	n, err := a.ReadCloser.Read(p)
	if !a.stalled.Stop() && err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("the service sent nothing for %v", stallTimeout)
	}
	return n, err
}

func (a *answer) Close() error {
	a.cancel()
	return a.ReadCloser.Close()
}

// watch wraps the body of a request, of so many bytes.
func (x *exchange) watch(body io.ReadCloser, size int64) io.ReadCloser {
	sent := &sentBody{ReadCloser: body, exchange: x, left: size}
	if from, ok := body.(io.WriterTo); ok {
		return lentBody{sent, from}
	}
	return sent
}

// A sentBody tells when the last of it is read, and when it is closed. A transport may
// close it while it is read (net/http, issue 49621), which S3's client doesn't expect of
// a body that it signs: that one is closed when it is read no more.
type sentBody struct {
	io.ReadCloser
	exchange *exchange
	left     int64

	mu              sync.Mutex
	reading, closed bool
}

func (b *sentBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, io.ErrClosedPipe
	}
	b.reading = true
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	if b.reading = false; b.closed {
		_ = b.ReadCloser.Close()
	}
	b.mu.Unlock()
	if failure := b.passes(n); failure != nil {
		return 0, failure
	}
	return n, err
}

// passes is called before n bytes go on.
func (b *sentBody) passes(n int) error {
	if b.left -= int64(n); b.left > 0 {
		return nil
	}
	return b.exchange.complete()
}

func (b *sentBody) Close() (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	if b.closed = true; !b.reading {
		err = b.ReadCloser.Close()
	}
	close(b.exchange.sent)
	return err
}

// A lentBody is a sentBody that writes itself. A transport that gives up may close what
// it is still writing, so who lends the bytes has to wait for them by himself.
type lentBody struct {
	*sentBody
	from io.WriterTo
}

// WriteTo implements io.WriterTo.
func (b lentBody) WriteTo(w io.Writer) (int64, error) {
	return b.from.WriteTo(lentWriter{b.sentBody, w})
}

type lentWriter struct {
	body *sentBody
	w    io.Writer
}

func (l lentWriter) Write(p []byte) (int, error) {
	if err := l.body.passes(len(p)); err != nil {
		return 0, err
	}
	return l.w.Write(p)
}
