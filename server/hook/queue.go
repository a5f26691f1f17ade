package hook

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// maxQueued uploads with messages to deliver are known in memory; what goes
	// beyond is found in the directory again.
	maxQueued = 256
	// outboxBytes is what a full queue takes.
	outboxBytes = 64 << 10

	maxRetryDelay = 5 * time.Minute
)

// A queue says which upload's messages are to be delivered next.
type queue struct {
	wake chan struct{} // something may be due earlier than thought

	mu      sync.Mutex
	waiting map[string]*turn // by upload
	more    bool             // the directory has uploads that aren't waiting
	closed  bool
}

// A turn is one upload's in a queue.
type turn struct {
	due      time.Time
	failures int  // in a row
	taken    bool // somebody delivers
	again    bool // a message came meanwhile
}

func newQueue() queue {
	return queue{wake: make(chan struct{}, 1), waiting: make(map[string]*turn), more: true}
}

// add says that an upload has a message.
func (q *queue) add(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch t := q.waiting[key]; {
	case t != nil:
		t.again = true
	case len(q.waiting) < maxQueued || q.evict():
		q.waiting[key] = &turn{due: time.Now()}
		q.signal()
	default:
		q.more = true
	}
}

// evict makes room by forgetting the turn that is due last, of those that have
// failed: they must not keep others out.
func (q *queue) evict() bool {
	var last string
	for key, t := range q.waiting {
		if !t.taken && t.failures > 0 && (last == "" || t.due.After(q.waiting[last].due)) {
			last = key
		}
	}
	if last == "" {
		return false
	}
	delete(q.waiting, last)
	q.more = true
	return true
}

// overflows: it has had no room for all there is.
func (q *queue) overflows() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.more
}

// take returns the upload that is due, or how long to wait for the next; a
// negative wait is until wake. scan asks for a look into the directory.
func (q *queue) take() (key string, wait time.Duration, scan bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return "", -1, false
	}
	if q.more && len(q.waiting) <= maxQueued/2 {
		q.more = false
		return "", 0, true
	}
	for k, t := range q.waiting {
		if !t.taken && (key == "" || t.due.Before(q.waiting[key].due)) {
			key = k
		}
	}
	if key == "" {
		return "", -1, false
	}
	if wait := time.Until(q.waiting[key].due); wait > 0 {
		return "", wait, false
	}
	q.waiting[key].taken, q.waiting[key].again = true, false
	return key, 0, false
}

// empty ends a turn that found no message.
func (q *queue) empty(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := q.waiting[key]; t.again {
		t.taken = false
	} else {
		delete(q.waiting, key)
	}
	q.signal()
}

// delivered ends a turn; there may be more of that upload.
func (q *queue) delivered(key string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.waiting[key]
	t.taken, t.failures, t.due = false, 0, time.Now()
	q.signal()
}

// failed ends a turn, and has the upload wait: twice as long each time, up to a
// bound, and by chance between half of that and all.
func (q *queue) failed(key string, base, atLeast time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.waiting[key]
	delay := maxRetryDelay
	if doublings := min(t.failures, 20); base < maxRetryDelay>>doublings {
		delay = base << doublings
	}
	delay = max(atLeast, delay/2+rand.N(delay/2+1))
	t.failures++
	t.taken, t.due = false, time.Now().Add(delay)
	q.signal()
}

// close has take return nothing more.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // whoever wakes up looks at everything
	}
}
