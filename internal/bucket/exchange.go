package bucket

import (
	"context"
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

// An exchange is what S3's client doesn't tell of a request and its answer.
type exchange struct {
	// sent is closed when the transport is done with the body, and with the
	// memory it took for it.
	sent       chan struct{}
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
	if !ok {
		return o.next.RoundTrip(r) // the client asks for the region by itself
	}
	if r.Body != nil && r.Body != http.NoBody {
		x.sent = make(chan struct{})
		r = r.WithContext(r.Context()) // a copy
		r.Body = x.watch(r.Body, r.ContentLength)
	} else if err := x.complete(); err != nil {
		return nil, err
	}
	resp, err := o.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	x.retryAfter = transport.RetryAfter(resp.Header)
	x.html = strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		x.skew = time.Since(at).Round(time.Second)
	}
	return resp, nil
}

// watch wraps the body of a request, of so many bytes.
func (x *exchange) watch(body io.ReadCloser, size int64) io.ReadCloser {
	sent := &sentBody{ReadCloser: body, exchange: x, left: size}
	if from, ok := body.(io.WriterTo); ok {
		return lentBody{sent, from}
	}
	return sent
}

// A sentBody tells when the last of it is read, and when it is closed.
type sentBody struct {
	io.ReadCloser
	once     sync.Once
	exchange *exchange
	left     int64
}

func (b *sentBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
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

func (b *sentBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { close(b.exchange.sent) })
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
