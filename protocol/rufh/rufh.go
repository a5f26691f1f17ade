// Package rufh speaks the server side of Resumable Uploads for HTTP,
// draft-ietf-httpbis-resumable-upload, in its interop versions 6 and 8, over a
// protocol.Collection.
//
// Use [NewHandler] to put it in front of something that keeps uploads. Package
// server does that for any store.Store.
//
// A PUT or POST that knows nothing of the draft is a creation too: an upload with
// all of its bytes, which only lacks the interim answers.
//
// # Concurrency
//
// A [Handler] is safe for concurrent use.
package rufh

// ContentType is that of a PATCH.
const ContentType = "application/partial-upload"

// StatusResumptionSupported is an interim answer that says where an upload is,
// or how far it has come.
const StatusResumptionSupported = 104

// Header names, in canonical form.
const (
	HeaderOffset   = "Upload-Offset"
	HeaderLength   = "Upload-Length"
	HeaderComplete = "Upload-Complete"
	HeaderLimit    = "Upload-Limit"
	HeaderInterop  = "Upload-Draft-Interop-Version"
)

// The interop versions that are spoken: that of draft-05, which some clients in
// the field have, and that of draft-09 and later.
const (
	version6 = 6
	version8 = 8
)
