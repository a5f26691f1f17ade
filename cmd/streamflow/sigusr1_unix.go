//go:build unix

package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// onCleanupSignal calls fn on each SIGUSR1 until stop is called.
func onCleanupSignal(fn func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	var wait sync.WaitGroup
	wait.Go(func() {
		for range signals {
			fn()
		}
	})
	return func() {
		signal.Stop(signals)
		close(signals)
		wait.Wait()
	}
}
