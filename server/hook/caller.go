package hook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

const (
	// maxAsking is how many requests ask about an event at the same time; more
	// wait.
	maxAsking = 16
	// callBytes is what a call takes: message and reply, buffers of a connection
	// or of pipes, stacks.
	callBytes = maxReplyBytes + maxMessageBytes + 64<<10
	// maxMessageBytes is beyond what stores keep as metadata, in JSON.
	maxMessageBytes = 128 << 10
)

// errUnanswered is what clients hear when a hook can't be asked. What was wrong
// is in the log.
var errUnanswered = &store.TransientError{
	Err:        errors.New("this server can't check the upload now: try again later"),
	RetryAfter: 5 * time.Second,
}

// A caller calls one target, within the limits that all calls have.
type caller struct {
	target target
	mem    *memory.Manager
	opts   *Options
	counts *counts
	slots  map[Event]chan struct{} // for those who ask, shared by all callers
	// ending ends with Hooks.Close, and all calls with it.
	ending context.Context
}

// ask returns the hook's reply. The error is for the client.
func (c *caller) ask(ctx context.Context, m Message) (Reply, error) {
	reply, err := c.tryAsk(ctx, m)
	switch {
	case err != nil:
		c.counts.add(m.Event, Failed, 1)
		c.opts.Logger.Warn("hook gives no answer", "hook", c.target.String(), "event", m.Event, "upload", m.Upload.ID, "error", err)
		return Reply{}, errUnanswered
	case reply.Refuse != nil:
		c.counts.add(m.Event, Refused, 1)
		return reply, reply.Refuse.refusal()
	default:
		c.counts.add(m.Event, Done, 1)
		return reply, nil
	}
}

func (c *caller) tryAsk(ctx context.Context, m Message) (Reply, error) {
	slots := c.slots[m.Event]
	turn := time.NewTimer(c.opts.Timeout)
	defer turn.Stop()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-turn.C:
		return Reply{}, errors.New("too many calls are under way")
	case <-ctx.Done():
		return Reply{}, ctx.Err()
	}
	body, err := c.call(ctx, envelope{m.ID, m.Event, m.encode()})
	if err != nil {
		return Reply{}, err
	}
	return parseReply(m.Event, body)
}

// call calls the target in its time and with the memory that takes.
func (c *caller) call(ctx context.Context, m envelope) (_ []byte, err error) {
	if len(m.body) > maxMessageBytes {
		return nil, fmt.Errorf("the message has %d bytes, more than %d", len(m.body), maxMessageBytes)
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	defer context.AfterFunc(c.ending, cancel)()
	held, err := c.mem.Reserve(ctx, memory.KindConnection, callBytes)
	if err != nil {
		return nil, fmt.Errorf("memory for the call: %w", err)
	}
	defer func() { err = errors.Join(err, held.Release()) }()
	return c.target.call(ctx, m)
}
