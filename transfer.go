package streamflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// discardTimeout bounds how long the end of an upload waits for a destination
// to discard what can't be resumed.
const discardTimeout = 10 * time.Second

// A transfer is what run knows of the way from the source to the destination.
type transfer struct {
	entry       *journal.Entry  // in the journal, or nil
	journaled   bool            // the journal may know it
	recorded    bool            // the journal knows dest
	previous    *journal.Record // of an unfinished upload, until it was dealt with
	checkpoints *checkpoints    // of a file
	stream      *stream         // of a stream
	parts       *parts          // of a file in units
	unitBytes   int64
	admission   *admission
	object      object
	room        *memory.Reservation // of the encoders, or nil

	backoff backoff
	putID   string       // of the object that is put, once it was tried
	acked   atomic.Int64 // bytes at the destination; the Writes under way add to it
	most    int64        // acked has been

	dest      store.Upload // nil before it is created
	resumed   int64        // bytes that were there when dest was opened
	sent      bool         // nothing but Finish is left to do
	finished  store.Info   // what the destination made of it, Complete once that is certain
	restarted bool
	reason    string // of a restart
	skipped   bool   // the same is at the destination already
}

// run is the goroutine of an upload.
func (u *Upload) run() {
	start := time.Now()
	err := u.transferAll()
	u.cancel(nil) // wakes the reader of a stream
	if u.stream != nil {
		u.stream.drain()
	}
	if err == nil {
		u.forgetEntry()
	} else {
		u.settleFailure(err)
	}
	u.end(err, time.Since(start))
}

// transferAll makes attempts until one ends the upload.
func (u *Upload) transferAll() error {
	if err := u.prepare(); err != nil {
		return err
	}
	for !u.finished.Complete {
		if err := u.try(); err != nil {
			return err
		}
	}
	return nil
}

// prepare checks what can be checked before anything is created.
func (u *Upload) prepare() error {
	if u.src.stream != nil {
		context.AfterFunc(u.ctx, func() { _ = u.src.Close() }) // wakes a Read
	}
	if err := u.encode(u.ctx); err != nil {
		return err
	}
	limits := u.m.dst.Limits()
	if err := u.divide(limits); err != nil {
		return err
	}
	u.admission = newAdmission(u.m.gate, u.m.opts.Streams, u.birth)
	u.backoff = backoff{limit: u.m.opts.Retries, jitter: rand.Float64}
	var points []journal.Checkpoint
	if u.previous != nil && !u.previous.Encoded && u.src.identity.Difference(u.previous.Source) == "" {
		points = u.previous.Checkpoints
	}
	u.checkpoints = newCheckpoints(points)
	if u.object.reader != nil {
		var least int64 // units of an unordered store are all of one size
		if !limits.Unordered {
			least = max(minNarrowBytes, limits.MinUnitBytes)
		}
		u.stream = newStream(u, u.unitBytes, least)
		go u.stream.read(u.ctx) // run waits for it, in drain
	}
	return nil
}

// divide decides how large units are. Those of a stream are held, so they don't
// grow to make few of many: it does without a length then.
func (u *Upload) divide(limits store.Limits) (err error) {
	if u.object.reader == nil {
		chunk := fileChunk(limits, u.m.opts.ChunkBytes, u.object.length)
		u.unitBytes, err = unitBytes(limits, chunk, u.object.length)
		return err
	}
	u.unitBytes, err = unitBytes(limits, u.m.opts.ChunkBytes, u.object.length)
	if err != nil {
		return err
	}
	small, err := unitBytes(limits, u.m.opts.ChunkBytes, store.UnknownLength)
	if small < u.unitBytes {
		u.unitBytes, u.object.length = small, store.UnknownLength
	}
	return err
}

// try makes one attempt. There is no error, and nothing finished, where another
// attempt should follow.
func (u *Upload) try() error {
	ctx, cancel, err := u.beginAttempt()
	if err != nil {
		return err
	}
	defer cancel(nil)
	if err := u.attempt(ctx); err != nil {
		u.finished = store.Info{}
		return u.survive(ctx, err)
	}
	u.finished.Complete = true
	return nil
}

// attempt goes all the way, from where the destination says the upload stands.
func (u *Upload) attempt(ctx context.Context) error {
	if u.sent {
		// Info may not know an upload any more whose Finish succeeded, but
		// whose answer was lost. Finish again does.
		if err := u.finish(ctx); !errors.Is(err, store.ErrIncomplete) {
			return err
		}
		u.sent = false
	}
	if err := u.src.check(); err != nil {
		return err
	}
	if ok, err := u.identical(ctx); ok || err != nil {
		return err
	}
	if u.stream != nil && u.dest == nil {
		// A stream that can't be read, or whose units can never fit, leaves
		// the destination untouched. One that ends here has a known length.
		if _, err := u.stream.head(ctx); err != nil {
			return err
		}
	}
	if u.whole() {
		return u.put(ctx)
	}
	info, err := u.locate(ctx)
	if err != nil {
		return err
	}
	if err := u.compress(ctx); err != nil {
		return err
	}
	u.arrived(info)
	// Of a stream, units may still be held that are there already.
	if !info.Complete || u.stream != nil {
		if err := u.move(ctx, info); err != nil {
			return err
		}
	}
	u.sent = true
	return u.finish(ctx)
}

// arrived notes what the destination says is there. Of a stream's units in any
// order, only those count that were acknowledged: the others are sent again.
func (u *Upload) arrived(info store.Info) {
	n := info.Offset
	if u.m.dst.Limits().Unordered {
		if n = u.acked.Load(); u.stream == nil {
			n = presentBytes(info, u.object.length, u.unitBytes)
		}
	}
	u.counters.bytes.Store(n)
	u.acked.Store(n)
	u.progressed()
}

// progressed forgets failures when more has arrived than ever before.
func (u *Upload) progressed() {
	if n := u.acked.Load(); n > u.most {
		u.most = n
		u.backoff.reset()
	}
}

func (u *Upload) move(ctx context.Context, info store.Info) error {
	defer u.record()()
	unordered := u.m.dst.Limits().Unordered
	switch {
	case u.stream != nil && unordered:
		return u.writeStreamUnits(ctx, info)
	case u.stream != nil:
		return u.writeStream(ctx, info)
	case unordered:
		return u.writeUnits(ctx, info)
	default:
		return u.writeFile(ctx, info)
	}
}

func (u *Upload) finish(ctx context.Context) error {
	if err := u.src.check(); err != nil {
		return err
	}
	sum, err := u.sum(ctx)
	if err != nil {
		return err
	}
	if u.finished, err = u.dest.Finish(ctx, sum); err != nil {
		return err
	}
	u.finished.Sum = sum
	return nil
}

// survive waits until another attempt may follow, or returns the error to end
// with.
func (u *Upload) survive(ctx context.Context, failure error) error {
	u.progressed()
	switch {
	case u.ctx.Err() != nil:
		return context.Cause(u.ctx)
	case ctx.Err() != nil: // paused
		u.backoff.reset()
		return nil
	case u.restart(failure):
		return nil
	}
	delay, err := u.backoff.failed(time.Now(), failure)
	if err != nil {
		return err
	}
	u.failedAttempt(failure)
	level := slog.LevelInfo
	if u.backoff.failures == 1 { // the others would say the same
		level = slog.LevelWarn
	}
	u.m.opts.Logger.Log(ctx, level, "an attempt failed", "upload", u.Name(), "error", failure, "retry_in", delay)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // the next attempt finds out why
	}
	return nil
}

// restart reports whether the upload begins anew, because it is gone at the
// destination. It does so once.
func (u *Upload) restart(failure error) bool {
	if !isGone(failure) || u.dest == nil || u.restarted {
		return false
	}
	if u.stream != nil && !u.stream.replayable() {
		return false
	}
	u.restarted = true
	u.reason = "the upload was gone at the destination"
	u.dest, u.sent, u.resumed, u.most = nil, false, 0, 0
	u.counters.bytes.Store(0)
	u.acked.Store(0)
	u.setID("", 0)
	u.m.opts.Logger.Warn("the upload is gone at the destination: starting anew", "upload", u.Name())
	return true
}

func isGone(err error) bool {
	return errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone)
}

// settleFailure discards what nobody could resume and remembers the rest.
func (u *Upload) settleFailure(err error) {
	if u.stream == nil && !isAny(err, ErrAborted, ErrSourceChanged, store.ErrChecksum, store.ErrExists) {
		u.save()
		if u.dest == nil || u.recorded {
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(u.ctx), discardTimeout)
	defer cancel()
	if derr := u.discard(ctx); derr != nil { // Abort tries again
		u.m.opts.Logger.Warn("an upload that can't be resumed stays at the destination", "upload", u.Name(), "error", derr)
		return
	}
	u.setDiscarded()
}

// end is the last step of run.
func (u *Upload) end(err error, took time.Duration) {
	u.closeEntry()
	if cerr := u.src.Close(); cerr != nil {
		u.m.opts.Logger.Warn("closing the source failed", "upload", u.Name(), "error", cerr)
	}
	if merr := errors.Join(u.releaseEncoders(), u.mem.Close()); merr != nil {
		u.m.opts.Logger.Error("an upload ended with memory held", "upload", u.Name(), "error", merr)
	}
	u.m.meterOne(u, time.Now(), true)
	u.mu.Lock()
	u.result = Result{
		ID: u.id, Location: u.finished.Location, Bytes: u.counters.bytes.Load(), ResumedBytes: u.resumed, SavedBytes: u.counters.saved.Load(),
		Retries: u.state.Retries, Sum: u.finished.Sum, Duration: took, RestartReason: u.reason, Identical: u.skipped,
	}
	u.state.Err = nil
	if err != nil {
		u.state.Err = fmt.Errorf("upload %s: %w", u.name, err)
	}
	switch {
	case err == nil:
		u.setStatus(Finished)
	case errors.Is(err, ErrAborted) && u.dest == nil:
		u.setStatus(Aborted)
	default:
		u.setStatus(Failed)
	}
	u.mu.Unlock()
	u.m.forget(u)
	close(u.done)
}
