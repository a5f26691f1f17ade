// Package protocol is what the wire protocols of uploads have in common: the
// [Uploads] they stand in front of, the answers to errors, digests, and where
// an upload is found.
//
// Use it to decorate [Uploads], to refuse a request with a [Refusal], or to write
// one more protocol beside protocol/tus. Nothing here belongs to one
// protocol alone.
//
// # Concurrency
//
// A [Collection] is safe for concurrent use and calls its [Uploads] from as many
// goroutines as there are requests. A [RequestBody] is read by one goroutine;
// its deadline may be set by others.
package protocol

import (
	"context"
	"io"
	"time"

	"github.com/streamflow/streamflow/store"
)

// Uploads is what a protocol stands in front of. Errors are those of package
// store or a *[Refusal]; anything else is answered with 500.
type Uploads interface {
	// Create begins an upload. An upload of length 0 is complete at once, unless
	// it is explicit.
	Create(ctx context.Context, spec store.Spec) (store.Info, error)

	// Info returns where an upload stands. The offset must be usable in the
	// next Append, so it ends an Append under way.
	Info(ctx context.Context, id string) (store.Info, error)

	// Append stores one chunk, and completes the upload with the last one. Also
	// beside an error it returns where the upload stands, or an Info without
	// an ID where that isn't known.
	Append(ctx context.Context, id string, chunk Chunk) (store.Info, error)

	// Concatenate makes an upload out of the partial ones with these ids, in that
	// order and maybe more than once, and finishes it. The length in spec says
	// nothing.
	Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Info, error)

	// Terminate discards an upload, complete or not.
	Terminate(ctx context.Context, id string) error
}

// A Chunk is the body of one request.
type Chunk struct {
	// Offset is where the client believes the upload to stand.
	Offset int64
	// Length is the length of the upload where this request declares it, else
	// store.UnknownLength.
	Length int64
	// Size of the body in bytes, or store.UnknownLength.
	Size int64
	Body Body
	// End says whether the upload ends with the body.
	End End
	// Whole is nil, or computes digests of Body while it is read, for the end of
	// an upload that came in one chunk.
	Whole *Digester
	// Progress is nil, or hears how far the upload is stored: once no older
	// request can take it over any more, and then now and then, in the goroutine
	// that reads Body.
	Progress func(offset int64)
	// Verify is nil, or says once the body has ended whether it has its
	// checksum. No byte of the chunk may be kept before that.
	Verify func() error
}

// An End says when an upload is complete.
type End int

const (
	// EndAtLength is once it has as many bytes as its length says.
	EndAtLength End = iota
	// EndLater is not with this body, even where that has the last bytes.
	EndLater
	// EndHere is where the body ends, which declares the length if nobody has.
	// Where the length is another one, the upload goes on.
	EndHere
)

// Metadata that only the server sets: no client can, as the keys have a space.
const (
	// metadataExplicit: the upload is complete when its client says so, and not
	// when it has its length.
	metadataExplicit = "explicit end"
	metadataDigest   = "repr digest"
	metadataCoding   = "content coding"
)

// MarkExplicit marks the metadata of an upload that only EndHere completes. The
// digests are checked then.
func MarkExplicit(metadata map[string]string, whole Digests) {
	metadata[metadataExplicit] = "1"
	if len(whole) > 0 {
		metadata[metadataDigest] = whole.String()
	}
}

// IsExplicit says whether MarkExplicit has marked that metadata.
func IsExplicit(metadata map[string]string) bool { return metadata[metadataExplicit] != "" }

// WholeDigests are those that the bytes of an upload with that metadata must
// have once it is complete.
func WholeDigests(metadata map[string]string) Digests {
	if metadata[metadataDigest] == "" {
		return nil
	}
	return ParseDigests([]string{metadata[metadataDigest]})
}

// MarkEncoded marks the metadata of an upload whose bytes have a content coding (RFC
// 9110, section 8.4): they are stored as they come, and read with it.
func MarkEncoded(metadata map[string]string, coding string) { metadata[metadataCoding] = coding }

// ContentCoding is what MarkEncoded has marked that metadata with, or "".
func ContentCoding(metadata map[string]string) string { return metadata[metadataCoding] }

// Body is the body of a request. Its reads end at a deadline that another
// goroutine may set, as in net.Conn.
type Body = interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}
