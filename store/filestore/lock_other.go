//go:build !unix || solaris || aix

package filestore

import "os"

// lockFile does nothing: here two processes must not share a directory.
func lockFile(*os.File) error { return nil }

func unlockFile(*os.File) error { return nil }
