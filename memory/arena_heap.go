//go:build !unix || race

package memory

import "errors"

// offHeap is false: slots are ordinary Go memory, with the same accounting.
// The race detector sees only such memory.
const offHeap = false

const pageBytes = 4096

func reserve(int) ([]byte, error) { return nil, errors.ErrUnsupported }
func unreserve([]byte) error      { return nil }
func unprotect([]byte) error      { return nil }
func protect([]byte) error        { return nil }
func decommit([]byte) error       { return nil }
func (a *arena) owns([]byte) bool { return false }
