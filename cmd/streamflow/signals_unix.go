//go:build unix

package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// What those who run a process may ask it for.
const (
	cleanupSignal = syscall.SIGUSR1
	reloadSignal  = syscall.SIGHUP
)

// onSignal calls fn on each of the signals until stop is called.
func onSignal(s os.Signal, fn func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, s)
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
