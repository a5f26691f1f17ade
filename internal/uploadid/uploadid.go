// Package uploadid makes the ids of uploads. An id is also a capability, and part of
// paths and keys: it can't be guessed, and is nothing but hexadecimal digits.
package uploadid

import (
	"crypto/rand"
	"encoding/hex"
)

// Bytes is the length of an id: 128 random bits in hexadecimal digits.
const Bytes = 32

// New returns an id that nothing has.
func New() string {
	var b [Bytes / 2]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// Valid says whether New can have made id, so that id is safe in a path.
func Valid(id string) bool {
	if len(id) != Bytes {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
