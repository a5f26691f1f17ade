package bucket

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/streamflow/streamflow/internal/transport"
)

// An action is a request of S3's, for texts: what it does, the permission it needs,
// and what can't be promised where a service doesn't know it.
type action struct{ does, permission, lost string }

const noConditions = "it has no conditional writes, so nothing is safe from being replaced"

var (
	createMultipart   = action{"begin a multipart upload", "s3:PutObject", ""}
	putObject         = action{"upload the object", "s3:PutObject", ""}
	conditionalPut    = action{"upload the object", "s3:PutObject", noConditions}
	uploadPart        = action{"upload a part", "s3:PutObject", ""}
	listParts         = action{"list the parts that are there", "s3:ListMultipartUploadParts", "nothing tells what has arrived there"}
	completeMultipart = action{"complete the multipart upload", "s3:PutObject", ""}
	conditionalEnd    = action{"complete the multipart upload", "s3:PutObject", noConditions}
	abortMultipart    = action{"abort the multipart upload", "s3:AbortMultipartUpload", ""}
	listMultiparts    = action{"list multipart uploads", "s3:ListBucketMultipartUploads", "what others have begun can't be found there"}
	copyPart          = action{"join a piece to the upload", "s3:PutObject and s3:GetObject", ""}
	listObjects       = action{"list objects", "s3:ListBucket", ""}
	removeObject      = action{"remove an object", "s3:DeleteObject", ""}
	getObject         = action{"read an object", "s3:GetObject", ""}
	headObject        = action{"look at the object", "s3:GetObject", ""}
)

// call makes one request and explains its error. Whatever do returns of S3's
// client passes through here.
func (b *Bucket) call(ctx context.Context, a action, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	x := &exchange{}
	sending, cancel := context.WithCancel(context.WithValue(ctx, exchangeKey{}, x))
	err := do(sending)
	cancel() // after an early answer the transport would go on
	if x.sent != nil {
		<-x.sent
	}
	if err == nil && x.html { // a success, but of what?
		err = errNoS3
	}
	if err != nil {
		return b.failure(ctx, a, x, err)
	}
	return nil
}

// An exchange is what S3's client doesn't tell of a request and its answer.
type exchange struct {
	// sent is closed when the transport is done with the body, and with the
	// memory it took for it.
	sent       chan struct{}
	retryAfter time.Duration
	html       bool
	skew       time.Duration // by which this machine's clock is ahead
}

type exchangeKey struct{}

// observer notes answers in the exchange of their context.
type observer struct{ next http.RoundTripper }

func (o observer) RoundTrip(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return o.next.RoundTrip(r) // the client asks for the region by itself
	}
	if r.Body != nil {
		x.sent = make(chan struct{})
		r = r.WithContext(r.Context()) // a copy
		r.Body = &sentBody{ReadCloser: r.Body, sent: x.sent}
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

// A sentBody tells when it is closed.
type sentBody struct {
	io.ReadCloser
	once sync.Once
	sent chan struct{}
}

func (b *sentBody) Close() error {
	err := b.ReadCloser.Close()
	b.once.Do(func() { close(b.sent) })
	return err
}

// transport returns what makes the requests, and sets what Close does.
func (b *Bucket) transport() http.RoundTripper {
	next := b.opts.Transport
	if next == nil {
		next = transport.New(b.mem, &tls.Config{RootCAs: b.opts.RootCAs})
	}
	b.close = func() {}
	if t, ok := next.(interface{ CloseIdleConnections() }); ok {
		b.close = t.CloseIdleConnections
	}
	return observer{next}
}
