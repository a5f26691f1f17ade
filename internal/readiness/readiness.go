// Package readiness waits for servers that tests and measurements start as processes:
// ours and those of others, which have nothing in common but that they speak HTTP.
//
// Where a server says itself that it is ready, as streamflow serve does by its
// --ready-file, nobody needs it.
package readiness

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	patience    = 30 * time.Second // in all
	askPatience = 5 * time.Second
	pause       = 5 * time.Millisecond
)

// ErrEnded says that the process ended first.
var ErrEnded = errors.New("the process has ended")

// Wait returns once the server at url answers HEAD, whatever it says. ended is closed
// when its process ends. Who had the port before must have ended, so that it can't be
// the one that answers. A connection is no answer: for a moment any process that is
// being started has the listener by which the port was found, too.
//
// Errors: [ErrEnded]; context.DeadlineExceeded after 30 s; the cause of ctx.
func Wait(ctx context.Context, url string, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // nothing is told, and nothing believed
	}
	for {
		answer := ask(transport, req)
		select {
		case <-ended:
			return fmt.Errorf("wait for %s: %w", url, ErrEnded)
		default:
		}
		if answer == nil {
			return nil
		}
		select {
		case <-ended:
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w: %w", url, context.Cause(ctx), answer)
		}
	}
}

func ask(transport *http.Transport, req *http.Request) error {
	ctx, cancel := context.WithTimeout(req.Context(), askPatience)
	defer cancel()
	resp, err := transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
