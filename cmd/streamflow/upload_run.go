package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/internal/tree"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// An uploader sends the sources of one command, some at once.
type uploader struct {
	manager  *streamflow.Manager
	process  *memory.Process
	console  *console
	progress progress
	crew     *crew

	mu     sync.Mutex
	total  summary
	failed tally
	whole  bool // every source had its turn
}

// run uploads all sources and returns how that went as a whole.
func (u *uploader) run(ctx context.Context, all sources) error {
	begun := time.Now()
	events := u.manager.Subscribe()
	var watching sync.WaitGroup
	watching.Go(func() {
		for e := range events.Events(context.Background()) {
			u.progress.event(e)
		}
	})
	stop := context.AfterFunc(ctx, func() {
		fmt.Fprintln(u.console, "streamflow: interrupted: leaving uploads resumable; once more ends at once")
	})
	u.uploadAll(ctx, all)
	stop()
	events.Close()
	watching.Wait()
	err := u.progress.close(u.summary(time.Since(begun)))
	if err != nil {
		err = fmt.Errorf("say what was uploaded: %w", err)
	}
	return cmp.Or(u.outcome(ctx), err)
}

func (u *uploader) uploadAll(ctx context.Context, all sources) {
	next := make(chan source)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer close(next)
	for src, err := range all.all() {
		if ctx.Err() != nil {
			return
		}
		switch {
		case errors.Is(err, tree.ErrSkipped):
			printSkipped(u.console, err)
			continue
		case err != nil:
			u.fail(src, nil, err)
			continue
		}
		if u.crew.grow() {
			workers.Go(func() {
				for src := range next {
					begun := time.Now()
					u.uploadOne(ctx, src)
					u.crew.note(time.Since(begun))
				}
			})
		}
		next <- src
	}
	u.whole = true
}

func (u *uploader) uploadOne(ctx context.Context, src source) {
	upload, result, err := u.transfer(ctx, src)
	switch {
	case err == nil && !result.Identical:
		u.mu.Lock()
		u.total.add(result)
		u.mu.Unlock()
		u.progress.finished(src.path, upload, result)
		return
	case err == nil:
		u.skip(src, upload, skippedIdentical)
		return
	case errors.Is(err, store.ErrExists) && upload != nil: // --no-clobber
		u.skip(src, upload, skippedExists)
		return
	}
	if upload != nil {
		state := upload.State()
		u.mu.Lock()
		u.total.retries += state.Retries
		u.mu.Unlock()
		if interrupted(ctx, err) {
			err = interruption(src, upload.ID(), state)
		}
	}
	u.fail(src, upload, explainRefusal(err, src.name, u.process))
}

// skip tells of a file that is fine at the destination as it is.
func (u *uploader) skip(src source, upload *streamflow.Upload, why skipReason) {
	u.mu.Lock()
	u.total.skipped++
	u.mu.Unlock()
	u.progress.skipped(src.path, upload, why)
}

// fail tells of a file that was not uploaded. upload may be nil.
func (u *uploader) fail(src source, upload *streamflow.Upload, err error) {
	u.progress.failed(src.path, upload, err)
	printError(u.console, err)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.failed.add(err)
}

func (u *uploader) transfer(ctx context.Context, src source) (*streamflow.Upload, streamflow.Result, error) {
	opened, err := src.open()
	if err != nil {
		return nil, streamflow.Result{}, err
	}
	upload, err := u.manager.Upload(ctx, opened)
	if err != nil {
		return nil, streamflow.Result{}, err
	}
	u.progress.started(src.path, upload)
	// ctx ends the upload itself; Wait is for when that is done.
	result, err := upload.Wait(context.WithoutCancel(ctx))
	return upload, result, err
}

func interrupted(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted) || errors.Is(context.Cause(ctx), errInterrupted)
}

// interruption says what is left of an upload that was interrupted.
func interruption(src source, id string, state streamflow.State) error {
	switch {
	case src.stdin():
		return fmt.Errorf("upload %s: %w after %s: discarded, because standard input can't be read again",
			src.name, errInterrupted, bytesize.Format(state.Bytes))
	case id == "":
		return fmt.Errorf("upload %s: %w before it began", src.path, errInterrupted)
	case state.Encoded:
		return fmt.Errorf("upload %s: %w after %s: discarded, because what it was encoded to can't be made again: the same command starts anew",
			src.path, errInterrupted, bytesize.Format(state.Bytes))
	case state.Discarded:
		return fmt.Errorf("upload %s: %w after %s of %s: discarded, because it couldn't be remembered: the same command starts anew",
			src.path, errInterrupted, bytesize.Format(state.Bytes), bytesize.Format(state.Total))
	default:
		return fmt.Errorf("upload %s: %w after %s of %s: run the same command again to go on",
			src.path, errInterrupted, bytesize.Format(state.Bytes), bytesize.Format(state.Total))
	}
}

func (u *uploader) summary(took time.Duration) summary {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.total
	s.duration, s.failed = took, u.failed.failed
	stats := u.manager.MemoryStats()
	s.peakMemory = stats.Peak
	if p := stats.Process; p != nil {
		s.peakRSS, s.budget = p.PeakRSS, p.Budget
	}
	return s
}

// outcome is the error of the whole command. The errors of single files are
// on the console already.
func (u *uploader) outcome(ctx context.Context) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case ctx.Err() == nil || u.whole && u.failed.failed == 0:
		return u.failed.outcome(u.total.files+u.total.skipped, "files were not uploaded")
	case !u.whole:
		return fmt.Errorf("%w before all files had their turn", context.Cause(ctx))
	default:
		return printedError{context.Cause(ctx)}
	}
}
