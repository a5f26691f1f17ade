package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// A Record is what is remembered of one upload.
type Record struct {
	Version     int      `json:"version"`
	Source      Identity `json:"source"`
	Object      string   `json:"object"` // its name at the destination, before encoders
	Destination string   `json:"destination"`
	UploadID    string   `json:"upload_id"`
	// NoReplace: the object replaces no other.
	NoReplace bool `json:"no_replace,omitempty"`
	// Terms are a hash of what the destination was told to keep with the object.
	Terms string `json:"terms,omitempty"`
	// Encoded: what was sent isn't the source as it is.
	Encoded bool `json:"encoded,omitempty"`
	// Checkpoints of the source, by rising offset.
	Checkpoints []Checkpoint `json:"checkpoints,omitempty"`
}

// A Checkpoint says that the source's first Offset bytes have this CRC-32C. It
// says nothing about what arrived.
type Checkpoint struct {
	Offset int64  `json:"offset"`
	CRC32C uint32 `json:"crc32c"`
}

const version = 2

// A Key is what tells uploads apart.
type Key struct {
	Path        string // of the source, absolute
	Object      string // what it is to be called
	Destination string
}

// Key returns what the record is found by.
func (r *Record) Key() Key { return Key{r.Source.Path, r.Object, r.Destination} }

const extension = ".json"

func (k Key) entryName() string {
	sum := sha256.Sum256([]byte(k.Path + "\x00" + k.Object + "\x00" + k.Destination))
	return hex.EncodeToString(sum[:16]) + extension
}

// texts are what any bytes may be in: file names needn't be UTF-8, but JSON is.
func (r *Record) texts() []*string {
	return []*string{&r.Source.Path, &r.Object, &r.Destination}
}

func (r Record) encode() ([]byte, error) {
	for _, s := range r.texts() {
		quoted := strconv.Quote(*s)
		*s = quoted[1 : len(quoted)-1]
	}
	return json.Marshal(r)
}

func decode(data []byte) (r Record, err error) {
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, err
	}
	for _, s := range r.texts() {
		if *s, err = strconv.Unquote(`"` + *s + `"`); err != nil {
			return Record{}, fmt.Errorf("a name in it: %w", err)
		}
	}
	if err := r.validate(); err != nil {
		return Record{}, err
	}
	return r, nil
}

func (r *Record) validate() error {
	switch {
	case r.Version != version:
		return fmt.Errorf("version is %d, not %d", r.Version, version)
	case r.UploadID == "":
		return errors.New("it has no upload id")
	case r.Source.Size < 0:
		return errors.New("its source's size is negative")
	}
	last := int64(0)
	for _, c := range r.Checkpoints {
		if c.Offset <= last || c.Offset > r.Source.Size {
			return fmt.Errorf("checkpoint at %d follows %d in %d bytes", c.Offset, last, r.Source.Size)
		}
		last = c.Offset
	}
	return nil
}
