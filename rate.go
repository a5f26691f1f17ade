package streamflow

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// readsPerSecond is how smoothly a limited rate is kept.
const readsPerSecond = 20

// newLimiter returns a limiter for so many bytes a second of all uploads
// together, or nil for 0.
func newLimiter(perSecond int64) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(max(1, perSecond/readsPerSecond)))
}

// limited returns r, which isn't read faster than Options.RateLimit allows.
func (u *Upload) limited(ctx context.Context, r io.Reader) io.Reader {
	if u.m.limiter == nil {
		return r
	}
	return &limitedReader{ctx: ctx, r: r, limiter: u.m.limiter}
}

// A limitedReader waits after each read until it is paid for. Reads are small
// enough that no peer takes the pauses for silence.
type limitedReader struct {
	ctx     context.Context // of the Write that reads
	r       io.Reader
	limiter *rate.Limiter
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p[:min(len(p), l.limiter.Burst())])
	if l.limiter.WaitN(l.ctx, n) != nil {
		<-l.ctx.Done() // it may only know that the turn would come too late
		return n, context.Cause(l.ctx)
	}
	return n, err
}
