// Package hook tells other programs what becomes of uploads, and lets them
// refuse or change one: an HTTP endpoint or an executable is asked before an
// upload is created and before it is finished, and told afterwards.
//
// Use [Open] and give the [Hooks] to server.Options. docs/hooks.md describes
// messages and replies; they are [Message] and [Reply]. [Verify] is for endpoints
// written in Go.
//
// # Promises
//
// An upload that a hook can't be asked about is not created, or not finished: it
// stays as it is until the hook answers. What a hook is told afterwards is kept in
// a directory, the outbox, until it was delivered, across restarts and the
// death of the process: at least once, with an id that stays the same, and in
// order for each upload. A finished upload yields one post-finish message, one
// that is gone one post-terminate. Only post-receive may get lost, and post-create
// with a process that dies before it has answered.
//
// # Memory
//
// A message and its reply are bounded, and charged with what calling costs
// while they are under way.
//
// # Concurrency
//
// [Hooks] are safe for concurrent use. Their goroutines end with [Hooks.Close].
package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// An Event is what a hook is asked or told about.
type Event string

// The events. Those that begin with "pre" ask, the others tell.
const (
	PreCreate     Event = "pre-create"
	PostCreate    Event = "post-create"
	PostReceive   Event = "post-receive" // once a second for each upload at most
	PreFinish     Event = "pre-finish"
	PostFinish    Event = "post-finish"
	PostTerminate Event = "post-terminate" // discarded on request, refused, or expired
)

// Events returns all events, in the order of an upload's life.
func Events() []Event {
	return []Event{PreCreate, PostCreate, PostReceive, PreFinish, PostFinish, PostTerminate}
}

// Options of Hooks. The zero value works.
type Options struct {
	// Events that hooks hear of; default all but PostReceive.
	Events []Event
	// Timeout of one call; default 30 s.
	Timeout time.Duration
	// Secret signs what goes to endpoints, see [ParseSecret]. Without one
	// nothing is signed.
	Secret Secret
	// Headers of a request that hooks get to see; default none. Authorization,
	// Proxy-Authorization and Cookie are refused.
	Headers []string
	// RetryDelay is how long the second attempt of a delivery waits; each
	// further one waits up to twice as long, at most 5 minutes. Default 1 s.
	RetryDelay time.Duration
	// GiveUpAfter is how long a delivery is tried before it is set aside;
	// default 24 h.
	GiveUpAfter time.Duration
	// Logger hears of failed calls; default: nobody.
	Logger *slog.Logger
}

func (o *Options) withDefaults() (Options, error) {
	opts := Options{}
	if o != nil {
		opts = *o
	}
	if opts.Timeout < 0 || opts.RetryDelay < 0 || opts.GiveUpAfter < 0 {
		return Options{}, errors.New("a time is negative")
	}
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.RetryDelay == 0 {
		opts.RetryDelay = time.Second
	}
	if opts.GiveUpAfter == 0 {
		opts.GiveUpAfter = 24 * time.Hour
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Events == nil {
		opts.Events = []Event{PreCreate, PostCreate, PreFinish, PostFinish, PostTerminate}
	}
	return opts, checkHeaders(opts.Headers)
}

// A Stater says what is known of an upload. Every store.Store is one.
type Stater interface {
	Stat(ctx context.Context, id string) (store.Info, error)
}

// Hooks are the targets of all events. Make them with [Open].
type Hooks struct {
	opts     Options
	wanted   map[Event]bool
	callers  []*caller
	outboxes []*outbox // one for each caller
	progress *progress // nil where nobody wants PostReceive
	held     memory.Reservation
	unlock   func() error
	counts   counts
	running  sync.WaitGroup
	stop     context.CancelFunc // of running
}

// Open returns hooks that call targets, each an http or https URL or the path
// of an executable, in that order. What waits to be delivered is kept in dir,
// which one process at a time may have; where it waits since an earlier
// process, delivery goes on at once. Uploads are those of stater.
//
// Close comes after the last request of the server.
func Open(ctx context.Context, targets []string, dir string, stater Stater, mem *memory.Manager, opts *Options) (*Hooks, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open hooks: %w", err)
	}
	h := &Hooks{opts: o, wanted: make(map[Event]bool)}
	for _, event := range o.Events {
		h.wanted[event] = true
	}
	slots := map[Event]chan struct{}{PreCreate: make(chan struct{}, maxAsking), PreFinish: make(chan struct{}, maxAsking)}
	for _, name := range targets {
		t, err := newTarget(name, &o)
		if err != nil {
			return nil, fmt.Errorf("open hooks: %w", err)
		}
		h.callers = append(h.callers, &caller{target: t, mem: mem, opts: &o, counts: &h.counts, slots: slots})
	}
	if err := h.openOutboxes(ctx, dir, targets, stater); err != nil {
		return nil, fmt.Errorf("open hooks: %w", err)
	}
	fixed := int64(len(targets)) * outboxBytes
	if h.wanted[PostReceive] {
		fixed += progressBytes
	}
	if h.held, err = mem.Reserve(ctx, memory.KindConnection, fixed); err != nil {
		return nil, errors.Join(fmt.Errorf("open hooks: %w", err), h.unlock())
	}
	h.start()
	return h, nil
}

// start begins what runs beside requests.
func (h *Hooks) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	for _, c := range h.callers {
		c.ending = ctx
	}
	if h.wanted[PostReceive] {
		h.progress = newProgress()
		h.running.Go(func() { h.progress.run(ctx, h.callers) })
	}
	for _, box := range h.outboxes {
		h.running.Go(func() { box.run(ctx) })
	}
}

// Close ends deliveries. It waits for those under way until ctx ends, and then
// breaks off all calls; what was not delivered stays in the outbox.
func (h *Hooks) Close(ctx context.Context) error {
	for _, box := range h.outboxes {
		box.close()
	}
	if h.progress != nil {
		h.progress.close()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.running.Wait()
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	h.stop()
	<-ended
	for _, c := range h.callers {
		c.target.close()
	}
	if err := errors.Join(h.held.Release(), h.unlock()); err != nil {
		return fmt.Errorf("close hooks: %w", err)
	}
	return nil
}
