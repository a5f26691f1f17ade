// Package encryption encrypts uploads on their way, so that only who has a
// private key can read what is stored. The format is that of age
// (age-encryption.org/v1): the age program decrypts it.
//
//	recipients, err := encryption.ParseRecipients(file)
//	sealed, err := encryption.New(recipients...)
//	m, err := streamflow.New(dst, &streamflow.Options{Encoders: []streamflow.Encoder{sealed}})
//
// An Encryption is safe for concurrent use.
package encryption

import (
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/streamflow/streamflow/memory"
)

const (
	// Extension of what is encrypted.
	Extension = ".age"

	// The payload is a nonce, then chunks with a tag each: one at least, and only
	// the last may be shorter (age-encryption.org/v1, "Payload").
	nonceBytes = 16
	chunkBytes = 64 << 10
	tagBytes   = 16

	// readerBytes is what a reader of Encode holds: one chunk, in a buffer that has
	// grown by doubling, and what it grew from.
	readerBytes = 448 << 10
)

// An Encryption encrypts to some recipients. It is a streamflow.Encoder.
type Encryption struct {
	recipients  []age.Recipient
	headerBytes int64
}

// New returns an Encryption to all of the recipients: each can decrypt. It tries
// them, so those that don't go together are an error here.
func New(recipients ...age.Recipient) (*Encryption, error) {
	e := &Encryption{recipients: recipients}
	if len(recipients) == 0 {
		return nil, errors.New("there is no recipient to encrypt to")
	}
	// The header is as long each time: keys and tags are of one size.
	n, err := e.sizeOfNothing()
	if err != nil {
		return nil, fmt.Errorf("encrypt to the recipients: %w", err)
	}
	e.headerBytes = n - nonceBytes - tagBytes
	return e, nil
}

func (e *Encryption) sizeOfNothing() (int64, error) {
	r, err := e.Encode(eof{})
	if err != nil {
		return 0, err
	}
	return io.Copy(io.Discard, r)
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// Encode implements streamflow.Encoder. Each time there is another key, so the
// same bytes never become the same.
func (e *Encryption) Encode(r io.Reader) (io.Reader, error) {
	return age.EncryptReader(r, e.recipients...)
}

// EncodedBytes implements streamflow.Encoder.
func (e *Encryption) EncodedBytes(n int64) int64 {
	chunks := max(1, (n+chunkBytes-1)/chunkBytes)
	return e.headerBytes + nonceBytes + n + chunks*tagBytes
}

// Extension implements streamflow.Encoder.
func (e *Encryption) Extension() string { return Extension }

// Memory implements streamflow.Encoder.
func (e *Encryption) Memory() (memory.Kind, int64) { return memory.KindEncryption, readerBytes }
