package s3store

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/store"
)

// An address is what an upload's id says. That of a listed one says no more than
// S3 itself tells, which is enough to look and to abort.
type address struct {
	bucket.Multipart
	terms
}

// The terms of an upload are what S3 doesn't keep of it.
type terms struct {
	Length int64 `json:"length"` // or store.UnknownLength
	Unit   int64 `json:"unit"`   // 0 where the terms aren't known
	// NoReplace is that of store.Spec.
	NoReplace bool `json:"noreplace,omitempty"`
	// Mark is random. The finished object has it in its metadata, so that one
	// tells its own object from another of the same name.
	Mark string `json:"mark"`
}

func newMark() string { return rand.Text() }

// id is the place, and the terms behind a dot. It is one word that is safe in a
// file, a URL and a shell.
func (a address) id() string {
	if a.Unit == 0 {
		return encode(a.Multipart)
	}
	return encode(a.Multipart) + "." + encode(a.terms)
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func decode(text string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// parseID reads an id, which may be anything.
func (s *Store) parseID(id string) (address, error) {
	a := address{terms: terms{Length: store.UnknownLength}}
	first, second, whole := strings.Cut(id, ".")
	err := decode(first, &a.Multipart)
	if whole && err == nil {
		err = decode(second, &a.terms)
	}
	// What doesn't come out as it went in is no id of ours.
	if err != nil || a.id() != id || a.ID == "" || a.Length < store.UnknownLength || a.Unit < 0 ||
		!strings.HasPrefix(a.Key, s.prefix) {
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
	case strings.HasPrefix(name+"/", piecesDir):
		problem = "is in a directory reserved for uploads under way"
	case strings.ContainsRune(name, 0):
		problem = "contains a NUL"
	case len(key) > bucket.MaxKeyBytes:
		problem = fmt.Sprintf("makes a key of %d bytes, and S3 takes %d", len(key), bucket.MaxKeyBytes)
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
