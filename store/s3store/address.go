package s3store

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/streamflow/streamflow/store"
)

// maxKeyBytes is what S3 takes for a key.
const maxKeyBytes = 1024

// An address is what an upload's id says. One from a listing knows the first
// two only: enough to look and to abort.
type address struct {
	Key       string `json:"key"`
	Multipart string `json:"upload"` // S3's id of the multipart upload
	Length    int64  `json:"length"` // or store.UnknownLength
	Unit      int64  `json:"unit,omitempty"`
	// Mark is random. The finished object has it in its metadata, so that one
	// tells its own object from another of the same name.
	Mark string `json:"mark,omitempty"`
}

func newMark() string { return rand.Text() }

// id is one word that is safe in a file, a URL and a shell.
func (a address) id() string {
	text, err := json.Marshal(a)
	if err != nil {
		panic(err) // strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// parseID reads an id, which may be anything.
func (s *Store) parseID(id string) (address, error) {
	var a address
	text, err := base64.RawURLEncoding.Strict().DecodeString(id)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(&a)
	}
	_, known := strings.CutPrefix(a.Key, s.prefix)
	if err != nil || !known || a.Multipart == "" || a.Length < store.UnknownLength || a.Unit < 0 || a.id() != id {
		return address{}, fmt.Errorf("%w: %.100q is not the id of one in %s", store.ErrNotFound, id, s.uri(s.prefix))
	}
	return a, nil
}

// key returns the key of an object called name.
func (s *Store) key(name string) (string, error) {
	key, problem := s.prefix+name, ""
	switch {
	case name == "":
		problem = "is empty"
	case strings.HasPrefix(name, "/"):
		problem = "is absolute"
	case !utf8.ValidString(name):
		problem = "is not UTF-8, as keys are"
	case strings.ContainsRune(name, 0):
		problem = "contains a NUL"
	case len(key) > maxKeyBytes:
		problem = fmt.Sprintf("makes a key of %d bytes, and S3 takes %d", len(key), maxKeyBytes)
	}
	for element := range strings.SplitSeq(name, "/") {
		if problem == "" && (element == "" || element == "." || element == "..") {
			problem = "has an element that is empty, . or .." // proxies and SDKs clean them away
		}
	}
	if problem != "" {
		return "", fmt.Errorf("%w: the name %s", store.ErrInvalid, problem)
	}
	return key, nil
}
