package hook

import (
	"context"
	"sync"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

const (
	progressInterval = time.Second
	// maxProgress uploads can tell something new in one interval; what goes
	// beyond is dropped.
	maxProgress = 1024
	// progressBytes is what their messages take.
	progressBytes = 512 << 10
)

// progress tells of bytes that came: once an interval, what is newest.
type progress struct {
	closing func() // once
	closed  chan struct{}

	mu      sync.Mutex
	latest  map[string]Message // by upload
	dropped uint64             // since the last interval
}

func newProgress() *progress {
	p := &progress{closed: make(chan struct{}), latest: make(map[string]Message)}
	p.closing = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *progress) close() { p.closing() }

// note replaces what was to be told of an upload.
func (p *progress) note(m Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.latest[m.Upload.ID]; !known && len(p.latest) >= maxProgress {
		p.dropped++
		return
	}
	p.latest[m.Upload.ID] = m
}

// forget: the upload tells of its end itself.
func (p *progress) forget(upload string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.latest, upload)
}

// collect takes what there is to tell.
func (p *progress) collect() (map[string]Message, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	latest, dropped := p.latest, p.dropped
	p.latest, p.dropped = make(map[string]Message), 0
	return latest, dropped
}

// run tells until close. An interval begins when all of the one before is told.
func (p *progress) run(ctx context.Context, callers []*caller) {
	pause := time.NewTimer(progressInterval)
	defer pause.Stop()
	for {
		select {
		case <-p.closed:
			return
		case <-pause.C:
		}
		latest, dropped := p.collect()
		for _, c := range callers {
			c.counts.add(PostReceive, Dropped, dropped)
		}
		for _, m := range latest {
			for _, c := range callers {
				p.tell(ctx, c, m)
			}
		}
		pause.Reset(progressInterval)
	}
}

func (p *progress) tell(ctx context.Context, c *caller, m Message) {
	select {
	case <-p.closed:
		return
	default:
	}
	if _, err := c.call(ctx, envelope{m.ID, m.Event, m.encode()}); err != nil {
		c.counts.add(m.Event, Failed, 1)
		c.opts.Logger.Debug("hook takes no message, which is dropped", "hook", c.target.String(), "event", m.Event, "error", err)
		return
	}
	c.counts.add(m.Event, Done, 1)
}

// A receipt is the body of an upload whose progress is told.
type receipt struct {
	protocol.Body
	told time.Time
	tell func(received int64)
	n    int64
}

// Read implements io.Reader.
func (r *receipt) Read(p []byte) (int, error) {
	n, err := r.Body.Read(p)
	r.n += int64(n)
	if now := time.Now(); n > 0 && now.Sub(r.told) >= progressInterval {
		r.told = now
		r.tell(r.n)
	}
	return n, err
}

// watched has a chunk tell how it comes.
func (h *Hooks) watched(ctx context.Context, id string, chunk protocol.Chunk) protocol.Chunk {
	if h.progress == nil || chunk.Body == nil {
		return chunk
	}
	chunk.Body = &receipt{Body: chunk.Body, told: time.Now(), tell: func(received int64) {
		h.received(ctx, store.Info{ID: id, Length: chunk.Length, Offset: chunk.Offset + received})
	}}
	return chunk
}

// received notes how far an upload is, and nothing of it that could be large.
func (h *Hooks) received(ctx context.Context, info store.Info) {
	if h.progress == nil || info.ID == "" || info.Complete {
		return
	}
	m := newMessage(ctx, PostReceive, store.Info{ID: info.ID, Length: info.Length, Offset: info.Offset})
	m.Request = nil
	h.progress.note(m)
}
