// Package tus speaks the server side of tus 1.0.0, the resumable upload
// protocol of https://tus.io/protocols/resumable-upload, over a small
// interface; its names, metadata and digests serve a client as well.
//
// Use [NewHandler] to put the protocol in front of something that keeps
// uploads. Package server does that for any store.Store.
//
// It has the core protocol with all extensions: creation, creation-with-upload,
// creation-defer-length, expiration, checksum, checksum-trailer, termination and
// concatenation. Some need what stands behind to play its part; see [Options].
//
// # Concurrency
//
// A [Handler] is safe for concurrent use and calls its [Uploads] from as many
// goroutines as there are requests.
package tus

import (
	"context"
	"io"
	"time"

	"github.com/streamflow/streamflow/store"
)

// Version is the one version of the protocol that is spoken.
const Version = "1.0.0"

// ContentType is that of a PATCH, and of a POST with bytes of the upload.
const ContentType = "application/offset+octet-stream"

// Header names, in canonical form.
const (
	HeaderResumable      = "Tus-Resumable"
	HeaderVersion        = "Tus-Version"
	HeaderExtension      = "Tus-Extension"
	HeaderMaxSize        = "Tus-Max-Size"
	HeaderOffset         = "Upload-Offset"
	HeaderLength         = "Upload-Length"
	HeaderDeferLength    = "Upload-Defer-Length"
	HeaderExpires        = "Upload-Expires"
	HeaderChecksum       = "Upload-Checksum"
	HeaderConcat         = "Upload-Concat"
	HeaderAlgorithms     = "Tus-Checksum-Algorithm"
	HeaderMetadata       = "Upload-Metadata"
	HeaderMethodOverride = "X-Http-Method-Override"
	HeaderWantReprDigest = "Want-Repr-Digest" // RFC 9530, section 4
	HeaderReprDigest     = "Repr-Digest"      // RFC 9530, section 3
)

// Metadata keys with a meaning that clients agree on.
const (
	MetadataFilename = "filename"
	MetadataFiletype = "filetype"
)

// Uploads is what a Handler stands in front of. Errors are those of package
// store; anything else is answered with 500.
type Uploads interface {
	// Create begins an upload. An upload of length 0 is complete at once.
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

// A Chunk is the body of one PATCH, or of a POST.
type Chunk struct {
	// Offset is where the client believes the upload to stand.
	Offset int64
	// Length is the length of the upload where this request declares it, else
	// store.UnknownLength.
	Length int64
	// Size of the body in bytes, or store.UnknownLength.
	Size int64
	Body Body
	// Verify is nil, or says once the body has ended whether it has its
	// checksum. No byte of the chunk may be kept before that.
	Verify func() error
}

// Body is the body of a request. Its reads end at a deadline that another
// goroutine may set, as in net.Conn.
type Body = interface {
	io.Reader
	SetReadDeadline(t time.Time) error
}
