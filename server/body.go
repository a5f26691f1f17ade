package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/policy"
	"github.com/streamflow/streamflow/store"
)

// An intake is a request body on its way into the store: it ends with its
// turn, when it is idle or slow for too long, and before it grows beyond limit.
type intake struct {
	turn     *turn
	begun    func() // called at the first Read
	patience patience
	pace     pace             // while memory is short
	limit    *policy.Throttle // of the client
	conn     *connection      // nil if the end isn't looked out for
	ending   ending
	// room is how many bytes may come, or store.UnknownLength. Where probe is
	// set, the body's size is not known and may turn out to be more; then the
	// upload may have so many in all.
	room, most int64
	probe      bool
	// progress is called before each Read.
	progress func()
}

// progressInterval is the least time between two reports of one chunk's.
const progressInterval = time.Second

// progress tells a chunk how far it is stored, if it wants to hear.
func progress(ctx context.Context, up store.Upload, c *protocol.Chunk) func() {
	if c.Progress == nil {
		return func() {}
	}
	last, told := time.Now(), c.Offset
	return func() {
		now := time.Now()
		if now.Sub(last) < progressInterval {
			return
		}
		last = now
		if info, err := up.Info(ctx); err == nil && info.Offset > told {
			told = info.Offset
			c.Progress(told)
		}
	}
}

// Read implements io.Reader. Bytes are only passed on while the body is known
// not to be too long, so an upload isn't completed by a body that is.
func (in *intake) Read(p []byte) (int, error) {
	in.begun()
	if in.pace.due() || in.limit.Due() {
		in.turn.rest()
		in.pace.wait(in.turn.ctx)
		in.limit.Wait(in.turn.ctx)
	}
	in.progress()
	if in.room == 0 && in.probe {
		return 0, in.checkEnd()
	}
	if in.room >= 0 && int64(len(p)) > in.room {
		p = p[:in.room]
	}
	n, err := in.take(in.pace.cut(p[:in.limit.Most(len(p))]))
	if in.room >= 0 {
		in.room -= int64(n)
	}
	if in.room == 0 && in.probe && err == nil {
		if err = in.checkEnd(); errors.Is(err, store.ErrTooLarge) {
			return 0, err
		}
	}
	return n, in.reason(err)
}

// take reads from the body while it may keep us waiting.
func (in *intake) take(p []byte) (int, error) {
	if err := in.turn.extend(in.patience.left); err != nil {
		return 0, err
	}
	start := time.Now()
	n, err := in.read(p)
	in.patience.spend(time.Since(start), n)
	in.pace.took(n)
	in.limit.Took(n)
	return n, err
}

func (in *intake) read(p []byte) (int, error) {
	if in.conn == nil {
		return in.turn.body.Read(p)
	}
	in.conn.ending.Store(&in.ending)
	n, err := in.turn.body.Read(p)
	in.conn.ending.Store(nil)
	in.ending.left -= int64(n)
	return n, err
}

// checkEnd returns io.EOF if the body ends here.
func (in *intake) checkEnd() error {
	var one [1]byte
	switch n, err := in.take(one[:]); {
	case n > 0:
		return protocol.TooLarge(in.most, "the body is longer than the upload may be")
	case err == nil:
		return io.ErrNoProgress
	default:
		return in.reason(err)
	}
}

// reason replaces an error of the connection by why it came about.
func (in *intake) reason(err error) error {
	if err == nil {
		return nil
	}
	if in.turn.ended() != nil {
		return context.Canceled // to the store it's an end like any; Append knows why
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errIdle
	}
	if err == io.EOF { // an error that wraps it is none
		in.turn.rest()
		return io.EOF
	}
	if errors.As(err, new(*protocol.Refusal)) {
		return err // of what the body is
	}
	// The client is gone or its framing is broken: it ended too early.
	return fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, err)
}
