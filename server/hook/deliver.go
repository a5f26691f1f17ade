package hook

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"
)

// deliveries are under way to one target at the same time, each of another
// upload.
const deliveries = 4

// run delivers until the queue is closed. It breaks off what is under way when
// ctx ends.
func (b *outbox) run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, deliveries)
	for !b.isClosed() {
		slots <- struct{}{}
		key, wait, scan := b.take()
		if key != "" {
			running.Go(func() {
				defer func() { <-slots }()
				b.deliver(ctx, key)
			})
			continue
		}
		<-slots
		if scan {
			if err := b.refill(); err != nil {
				b.trouble("read the outbox", err)
				b.pause(time.Second)
			}
			continue
		}
		b.pause(wait)
	}
}

// pause waits until something may be due. A negative wait has no end of its own.
func (b *outbox) pause(wait time.Duration) {
	if wait < 0 {
		<-b.wake
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-b.wake:
	case <-timer.C:
	}
}

// deliver delivers the next message of an upload.
func (b *outbox) deliver(ctx context.Context, key string) {
	opts := b.caller.opts
	name, m, err := b.oldest(key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.empty(key)
		return
	case errors.Is(err, errDamaged):
		b.end(key, b.putAside(name, err))
		return
	case err != nil: // nothing is wrong with the message
		b.trouble("read a message", err)
		b.failed(key, opts.RetryDelay, 0)
		return
	}
	_, err = b.caller.call(ctx, envelope{m.ID, m.Event, m.encode()})
	switch {
	case err == nil:
		b.caller.counts.add(m.Event, Done, 1)
		b.end(key, b.dir.Remove(name))
		return
	case ctx.Err() != nil: // we break off: nothing is wrong with the target
		b.failed(key, opts.RetryDelay, 0)
		return
	case time.Since(m.Time) > opts.GiveUpAfter:
		b.caller.counts.add(m.Event, GaveUp, 1)
		b.end(key, b.putAside(name, err))
		return
	}
	b.caller.counts.add(m.Event, Failed, 1)
	opts.Logger.Warn("hook takes no message, which is tried again", "hook", b.caller.target.String(),
		"event", m.Event, "id", m.ID, "upload", m.Upload.ID, "error", err)
	after := time.Duration(0)
	if busy := (*busyError)(nil); errors.As(err, &busy) {
		after = busy.after
	}
	b.failed(key, opts.RetryDelay, after)
}

// end ends the turn of a message that is dealt with, unless it stays for err.
func (b *outbox) end(key string, err error) {
	if err != nil {
		b.trouble("take a message out of the outbox", err)
		b.failed(key, time.Minute, 0)
		return
	}
	b.delivered(key)
}

func (b *outbox) trouble(doing string, err error) {
	b.caller.opts.Logger.Error("outbox of a hook", "hook", b.caller.target.String(), "doing", doing, "error", err)
}
