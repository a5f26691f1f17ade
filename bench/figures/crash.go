package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// measureCrash kills the server at random moments while a crowd uploads.
func measureCrash(ctx context.Context, b *bench) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Minute)
	defer cancel()
	if err := b.build(ctx); err != nil {
		return err
	}
	store, err := b.emptyDir("store")
	if err != nil {
		return err
	}
	c, err := b.newCrowd(b.size(8*mib, 2*mib), 192*kib)
	if err != nil {
		return err
	}
	kills := b.count(100, 10)
	err = b.underKills(ctx, c, store, kills)
	b.reportCrowd(c, fmt.Sprintf("%d kills", kills))
	return err
}

// underKills runs the crowd and kills its server again and again.
func (b *bench) underKills(ctx context.Context, c *crowd, store string, kills int) error {
	s, err := b.serve(ctx, store, nil, "--log-level", "warn")
	if err != nil {
		return err
	}
	defer func() { s.kill() }()
	c.meets(s.url)
	crowd := c.gather(ctx, store)
	defer crowd.disperse()
	for range kills {
		moment := time.Duration(b.random.Int64N(int64(500 * time.Millisecond)))
		select {
		case <-crowd.gone:
			return fmt.Errorf("an upload ended early: %w", crowd.err)
		case <-time.After(moment):
		}
		s.kill()
		next, err := b.serve(ctx, store, nil, "--log-level", "warn")
		if err != nil {
			return fmt.Errorf("after a kill: %w", err)
		}
		s = next
		c.meets(s.url)
	}
	c.rest()
	<-crowd.gone
	_, stopErr := s.stop()
	return errors.Join(crowd.err, stopErr)
}

// reportCrowd reports what the crowd has seen.
func (b *bench) reportCrowd(c *crowd, what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tally
	b.report.raw(t)
	b.report.columns("what", "uploads at once", "finished", "acknowledged MiB", "resumed", "refusals by status")
	b.report.row(what, crowdSize, t.Finished, inMiB(t.Acknowledged), t.Resumed, t.Refusals)
	b.report.atMost("acknowledged offsets that were lost", float64(t.Lost), 0)
	b.report.atMost("files that differ from what was sent", float64(t.Differ), 0)
	b.report.atLeast("uploads finished", float64(t.Finished), crowdSize)
}
