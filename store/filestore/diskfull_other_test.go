//go:build !linux

package filestore_test

// These are roles for Linux, where their tests are.

func hitFileSizeLimit() {}

func changeDirectories() {}
