//go:build !unix

package main

// onCleanupSignal does nothing: there is no SIGUSR1 here.
func onCleanupSignal(func()) (stop func()) { return func() {} }
