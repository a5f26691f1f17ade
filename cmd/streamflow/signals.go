package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interruptible returns a context that the first SIGINT or SIGTERM ends, with
// errInterrupted as its cause. The second one ends the process at once.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopped := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for _, act := range []func(){
			func() { cancel(errInterrupted) },
			func() { os.Exit(exitInterrupted) },
		} {
			select {
			case <-signals:
				act()
			case <-stopped:
				return
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		wait.Wait()
		cancel(nil)
	}
}
