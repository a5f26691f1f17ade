// Package tus speaks the server side of tus 1.0.0, the resumable upload
// protocol of https://tus.io/protocols/resumable-upload, over a
// protocol.Collection; its names and metadata serve a client as well.
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
// A [Handler] is safe for concurrent use.
package tus

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
)
