package policy

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What is remembered of clients that do nothing now: not longer than a limiter
// takes to be full again, and not more of them, as addresses are cheap.
const (
	rememberFor  = time.Minute
	rememberMost = 4096
)

// clients are those that do something now, and those that did lately.
type clients struct {
	bytesPerSecond    int64 // 0 is any
	requestsPerMinute int   // 0 is any

	mu    sync.Mutex
	byKey map[string]*client
	idle  list.List // of *client, those idle longest first
}

// A client is what one client may still do.
type client struct {
	key      string
	bytes    *rate.Limiter // nil is without limit
	requests *rate.Limiter // nil is without limit

	// Under clients.mu:
	users     int
	idle      *list.Element // nil while there are users
	idleSince time.Time
}

// use returns the client of a key. The caller leaves it.
func (cs *clients) use(key string) *client {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.forget(time.Now().Add(-rememberFor), rememberMost)
	c := cs.byKey[key]
	switch {
	case c == nil:
		c = cs.newClient(key)
		cs.byKey[key] = c
	case c.idle != nil:
		cs.idle.Remove(c.idle)
		c.idle = nil
	}
	c.users++
	return c
}

func (cs *clients) leave(c *client) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c.users--; c.users == 0 {
		c.idleSince = time.Now()
		c.idle = cs.idle.PushBack(c)
	}
}

// forget drops the clients that are idle since a time or longer, and as many
// more as leave at most so many.
func (cs *clients) forget(since time.Time, most int) {
	for cs.idle.Len() > 0 {
		c := cs.idle.Front().Value.(*client)
		if c.idleSince.After(since) && cs.idle.Len() <= most {
			return
		}
		cs.idle.Remove(c.idle)
		delete(cs.byKey, c.key)
	}
}

func (cs *clients) newClient(key string) *client {
	c := &client{key: key, bytes: newBytesLimiter(cs.bytesPerSecond)}
	if n := cs.requestsPerMinute; n > 0 {
		c.requests = rate.NewLimiter(rate.Limit(n)/60, n)
	}
	return c
}
