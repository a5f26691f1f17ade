package streamflow

import (
	"fmt"
	"io"

	"github.com/streamflow/streamflow/memory"
)

// An Encoder makes of a source's bytes what is stored of them. Packages
// compression and encryption have some. It is safe for concurrent use.
type Encoder interface {
	// Encode returns a reader of what the bytes of r become, which one goroutine
	// uses. It reads r as it is read, and passes r's errors on.
	Encode(r io.Reader) (io.Reader, error)
	// EncodedBytes returns how many bytes so many become, or store.UnknownLength
	// where they have to be encoded to know.
	EncodedBytes(bytes int64) int64
	// Extension is what the name of what is stored gets, such as ".age".
	Extension() string
	// Memory is what a reader of Encode holds, and what kind that is. Bytes whose
	// kind is memory.KindEncryption are held as that until they are acknowledged.
	Memory() (kind memory.Kind, bytes int64)
}

// A Compressor is an Encoder that is left out where it saves nothing, and where the
// name with its Extension is that of a file beside the source, or is taken, as
// [Source.SetTaken] says. What it has
// made is undone by everybody who knows its content coding (RFC 9110, section
// 8.4.1), so a destination that keeps that needs no Extension.
type Compressor interface {
	Encoder
	// Shrinks reports whether a source that begins so is worth encoding.
	Shrinks(head []byte) bool
	// ContentCoding is the registered name of the coding.
	ContentCoding() string
}

// An EncodeError ends an upload whose source can't be encoded.
type EncodeError struct {
	Kind memory.Kind // of the Encoder
	Err  error
}

func (e *EncodeError) Error() string { return fmt.Sprintf("%s: %v", e.Kind, e.Err) }

func (e *EncodeError) Unwrap() error { return e.Err }
