package clusterstore

import (
	"crypto/rand"
	"strings"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/uploadid"
)

// What lies below the prefix beside the objects.
const (
	stateDir    = ".streamflow/"
	uploadsDir  = stateDir + "uploads/"
	finishedDir = stateDir + "finished/"
	dataDir     = stateDir + "data/"

	maxPrefixBytes = bucket.MaxKeyBytes - len(dataDir) - uploadid.Bytes - 1 - 26
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
	return rest, uploadid.Valid(rest)
}
