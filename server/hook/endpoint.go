package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/streamflow/streamflow/internal/transport"
)

// maxHeaderBytes bounds the headers of an endpoint's answer.
const maxHeaderBytes = 16 << 10

// An endpoint is a target that takes messages by HTTP POST.
type endpoint struct {
	url    *url.URL
	client *http.Client
	secret Secret
}

func newEndpoint(u *url.URL, opts *Options) *endpoint {
	return &endpoint{url: u, secret: opts.Secret, client: &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			MaxIdleConnsPerHost:    deliveries,
			IdleConnTimeout:        time.Minute,
			TLSHandshakeTimeout:    10 * time.Second,
			MaxResponseHeaderBytes: maxHeaderBytes,
			ForceAttemptHTTP2:      true,
		},
		// A redirect could lead to where only this machine may go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (e *endpoint) call(ctx context.Context, m envelope) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url.String(), bytes.NewReader(m.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "streamflow")
	if err := e.secret.sign(req.Header, m.id, m.body, time.Now()); err != nil {
		return nil, err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		if u := (*url.Error)(nil); errors.As(err, &u) {
			err = u.Err // the caller names the URL
		}
		return nil, err
	}
	defer resp.Body.Close()
	if err := checkStatus(resp); err != nil {
		return nil, err
	}
	reply, err := io.ReadAll(io.LimitReader(resp.Body, maxReplyBytes+1))
	if len(reply) > maxReplyBytes {
		return nil, errTooLong
	}
	return reply, err
}

func checkStatus(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return fmt.Errorf("it answers %s, and redirects are not followed: give its own URL", resp.Status)
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0 where it says something else
		return &busyError{resp.Status, time.Duration(min(max(seconds, 0), 3600)) * time.Second}
	default:
		return fmt.Errorf("it answers %s", resp.Status)
	}
}

func (e *endpoint) String() string { return transport.Shown(e.url) }

func (e *endpoint) close() { e.client.CloseIdleConnections() }
