package clusterstore

import (
	"maps"
	"sync"
	"time"
)

// doubtLasts is for how long a request is held to be able to have an effect at least.
// Services end one that stands still after minutes.
const doubtLasts = time.Hour

// doubts are the uploads that a request of this process may still change, though its
// answer is not known. They begin a new epoch before anything else. The zero value has
// none.
type doubts struct {
	mu    sync.Mutex
	since map[string]time.Time // by id
	swept time.Time
}

func (d *doubts) note(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	// Many a broken upload goes on at another node, or never.
	if now.Sub(d.swept) > doubtLasts {
		maps.DeleteFunc(d.since, func(_ string, since time.Time) bool { return now.Sub(since) > doubtLasts })
		d.swept = now
	}
	if d.since == nil {
		d.since = make(map[string]time.Time)
	}
	d.since[id] = now
}

func (d *doubts) has(id string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.since[id]
	return ok
}

func (d *doubts) forget(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.since, id)
}
