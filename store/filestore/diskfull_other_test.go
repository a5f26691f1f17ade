//go:build !linux

package filestore_test

// hitFileSizeLimit is a role for Linux, where its test is.
func hitFileSizeLimit() {}
