package hook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/streamflow/streamflow/internal/transport"
)

// A target is one place that events go to.
type target interface {
	// call hands over a message and returns what came back, at most
	// maxReplyBytes. ctx ends with the time for it.
	call(ctx context.Context, m envelope) ([]byte, error)
	// String names it in logs, without what could be a secret.
	String() string
	close()
}

// An envelope is a message on its way.
type envelope struct {
	id    string
	event Event
	body  []byte
}

var errTooLong = fmt.Errorf("its reply is longer than %d bytes", maxReplyBytes)

// A busyError is an endpoint's wish to be left alone for a while.
type busyError struct {
	status string
	after  time.Duration
}

func (e *busyError) Error() string { return "it answers " + e.status }

// newTarget makes one of a URL or the path of an executable.
func newTarget(name string, opts *Options) (target, error) {
	if !strings.Contains(name, "://") {
		return newExecutable(name, opts)
	}
	u, err := url.Parse(name)
	switch {
	case err != nil:
		return nil, errors.New("a hook's URL can't be read") // the error would show its password
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return nil, fmt.Errorf("hook %s: want http://, https://, or the path of an executable", transport.Shown(u))
	}
	return newEndpoint(u, opts), nil
}
