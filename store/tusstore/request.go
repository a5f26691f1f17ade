package tusstore

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// A request to the server. The body is nil where there is none.
type request struct {
	method string
	url    *url.URL
	header http.Header
	body   io.Reader
	size   int64 // of the body, or store.UnknownLength
}

const maxRedirects = 3

// do sends r and reads the answer, whatever its status. It follows 307 and 308
// within the origin: anything else could lead a token or a body elsewhere. A
// body can be sent once only, so its redirect is transient trouble: the answer's
// url is where the next request goes.
func (s *Store) do(ctx context.Context, r *request) (*answer, error) {
	to := *r
	for range maxRedirects + 1 {
		a, err := s.send(ctx, &to)
		if err != nil {
			return nil, err
		}
		if a.status != http.StatusTemporaryRedirect && a.status != http.StatusPermanentRedirect {
			return a, nil
		}
		location, err := to.url.Parse(a.header.Get("Location"))
		if err != nil || !sameOrigin(to.url, location) {
			return nil, fmt.Errorf("%w: %s redirects to %q: if you trust that, use it as the endpoint",
				store.ErrUnsupported, transport.Shown(to.url), a.location())
		}
		location.User = nil
		to.url, a.url = location, location
		if r.body != nil {
			return a, nil
		}
	}
	return nil, fmt.Errorf("%w: %s redirects more than %d times", store.ErrUnsupported, transport.Shown(r.url), maxRedirects)
}

// send makes one exchange.
func (s *Store) send(ctx context.Context, r *request) (*answer, error) {
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(sending, r.method, r.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if r.body != nil && r.size != 0 {
		b := &body{Reader: r.body, closed: make(chan struct{})}
		defer func() {
			cancel() // after an early answer it would go on
			<-b.closed
		}()
		req.Body = b
		req.ContentLength = r.size // -1 is store.UnknownLength: chunked
	}
	if sameOrigin(s.endpoint, r.url) {
		for name, values := range s.header {
			req.Header[name] = values
		}
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	req.Header.Set(tus.HeaderResumable, tus.Version)
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return nil, transport.Failure(ctx, err)
	}
	a := &answer{status: resp.StatusCode, header: resp.Header, url: r.url}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if e := resp.Body.Close(); err != nil || e != nil {
		a.body = nil // it would only explain: status and headers are there
	}
	return a, nil
}

// A body tells when the transport has closed it, and so is done with it and
// with the memory it took for it.
type body struct {
	io.Reader
	once   sync.Once
	closed chan struct{}
}

func (b *body) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
