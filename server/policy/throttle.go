package policy

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// A Throttle is how fast one body may be read: not faster than its client's share
// and the server's. A nil Throttle is without limit.
//
// Each read is paid for after it, before the next: who waits for a slow client
// has taken nothing from the others, and bodies of one client, which have read
// equally much, wait equally long. A Throttle is used by one goroutine.
type Throttle struct {
	limiters []*rate.Limiter
	due      time.Time // when what was read is paid for
	leave    func()
}

// Due reports whether Wait would wait.
func (p *Throttle) Due() bool { return p != nil && time.Now().Before(p.due) }

// Wait returns when what was read is paid for, or ctx has ended. The wait is the
// server's wish: it doesn't count against the client.
func (p *Throttle) Wait(ctx context.Context) {
	if !p.Due() {
		return
	}
	timer := time.NewTimer(time.Until(p.due))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Most is how many of n bytes may be read before the next Wait: at least one.
func (p *Throttle) Most(n int) int {
	if p == nil {
		return n
	}
	for _, l := range p.limiters {
		n = min(n, l.Burst())
	}
	return n
}

// Took says that n bytes, not more than Most allowed, were read.
func (p *Throttle) Took(n int) {
	if p == nil || n <= 0 {
		return
	}
	now := time.Now()
	for _, l := range p.limiters {
		if due := now.Add(l.ReserveN(now, n).DelayFrom(now)); due.After(p.due) {
			p.due = due
		}
	}
}

// Close ends the use of p.
func (p *Throttle) Close() {
	if p != nil {
		p.leave()
	}
}

// burstsPerSecond is how smoothly a rate is kept.
const burstsPerSecond = 10

// newBytesLimiter returns a limiter for so many bytes a second, or nil for 0.
func newBytesLimiter(perSecond int64) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	burst := min(max(perSecond/burstsPerSecond, 1), 1<<30)
	return rate.NewLimiter(rate.Limit(perSecond), int(burst))
}
