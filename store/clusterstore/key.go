package clusterstore

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/streamflow/streamflow/internal/bucket"
)

// What lies below the prefix beside the objects.
const (
	stateDir    = ".streamflow/"
	uploadsDir  = stateDir + "uploads/"
	finishedDir = stateDir + "finished/"
	dataDir     = stateDir + "data/"

	idBytes        = 32
	maxPrefixBytes = bucket.MaxKeyBytes - len(dataDir) - idBytes - 1 - 26
)

func (s *Store) target(id string) string      { return s.prefix + id }
func (s *Store) uploadKey(id string) string   { return s.prefix + uploadsDir + id }
func (s *Store) finishedKey(id string) string { return s.prefix + finishedDir + id }
func (s *Store) dataPrefix(id string) string  { return s.prefix + dataDir + id + "/" }

// newDataKey is used once: what lies under it never changes.
func (s *Store) newDataKey(id string) string { return s.dataPrefix(id) + rand.Text() }

// owner returns whose data lies under a key, or whose state: of that there is a
// multipart upload where a node died that asked why a write of it was refused.
func (s *Store) owner(key string) (id string, ok bool) {
	rest, ok := strings.CutPrefix(key, s.prefix)
	if !ok {
		return "", false
	}
	for _, dir := range []string{dataDir, uploadsDir, finishedDir} {
		if below, ok := strings.CutPrefix(rest, dir); ok {
			rest, _, _ = strings.Cut(below, "/")
		}
	}
	return rest, validID(rest)
}

// newID returns 128 random bits: an id is also a capability, and is not guessed.
func newID() string {
	var b [idBytes / 2]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func validID(id string) bool {
	if len(id) != idBytes {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
