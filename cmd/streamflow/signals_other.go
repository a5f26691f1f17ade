//go:build !unix

package main

// There are no signals to ask for anything by.
const (
	cleanupSignal = ""
	reloadSignal  = ""
)

func onSignal(string, func()) (stop func()) { return func() {} }
