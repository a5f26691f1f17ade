package tus

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/streamflow/streamflow/protocol"
)

// Options of a Handler: the extensions that not everything behind it can play
// its part in. The zero value works.
type Options struct {
	// Checksums: Append honours Chunk.Verify, so clients may send checksums.
	Checksums bool
	// Concatenation: Concatenate works, so clients may send parts.
	Concatenation bool
	// Decoders reserves the memory of a decoder before there is one; nil means
	// that clients can't send gzip.
	Decoders func(ctx context.Context, bytes int64) (release func(), err error)
}

// A Handler is an http.Handler that speaks tus.
type Handler struct {
	uploads *protocol.Collection
	opts    Options
}

// What is wrong with a request before any upload is looked at.
var (
	errVersion = &protocol.Refusal{
		Status: http.StatusPreconditionFailed,
		Code:   "UNSUPPORTED_VERSION",
		Detail: "this server speaks tus " + Version + ": send Tus-Resumable: " + Version,
		Header: http.Header{HeaderVersion: {Version}},
	}
	errContentType = &protocol.Refusal{
		Status: http.StatusUnsupportedMediaType,
		Code:   protocol.CodeMediaType,
		Detail: "the Content-Type of an upload's bytes is " + ContentType,
	}
)

// NewHandler returns a Handler in front of uploads.
func NewHandler(uploads *protocol.Collection, opts *Options) *Handler {
	h := &Handler{uploads: uploads}
	if opts != nil {
		h.opts = *opts
	}
	return h
}

// Speaks says whether a request is one of tus, or would be if it said so: a
// client that forgot Tus-Resumable is to hear that.
func Speaks(r *http.Request) bool {
	if r.Header.Get(HeaderResumable) != "" || typed(r) {
		return true
	}
	for _, name := range []string{HeaderMetadata, HeaderDeferLength, HeaderConcat, HeaderChecksum} {
		if len(r.Header.Values(name)) > 0 {
			return true
		}
	}
	return false
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if o := r.Header.Get(HeaderMethodOverride); o != "" {
		method = strings.ToUpper(o)
	}
	if method == http.MethodHead {
		w.Header().Set("Cache-Control", "no-store")
	}
	if err := h.serve(w, r, method); err != nil {
		w.Header().Set(HeaderResumable, Version)
		h.uploads.Refuse(w, r, err)
	}
}

// answer ends the header of an answer that is no refusal.
func answer(w http.ResponseWriter, status int) {
	w.Header().Set(HeaderResumable, Version)
	w.WriteHeader(status)
}

// serve answers, or returns why it can't.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, method string) error {
	if method == http.MethodOptions {
		h.options(w)
		return nil
	}
	id, err := h.uploads.Target(r)
	switch {
	case err != nil:
		return err
	case r.Header.Get(HeaderResumable) != Version:
		return errVersion
	case id == "" && method == http.MethodPost:
		return h.post(w, r)
	case id == "":
		return protocol.MethodNotAllowed("OPTIONS, POST")
	}
	switch method {
	case http.MethodHead:
		return h.head(w, r, id)
	case http.MethodPatch:
		return h.patch(w, r, id)
	case http.MethodDelete:
		return h.delete(w, r, id)
	default:
		return protocol.MethodNotAllowed("DELETE, HEAD, OPTIONS, PATCH")
	}
}

func (h *Handler) options(w http.ResponseWriter) {
	header := w.Header()
	header.Set(HeaderVersion, Version)
	extensions := "creation,creation-with-upload,creation-defer-length,termination"
	if h.opts.Checksums {
		extensions += ",checksum,checksum-trailer"
		header.Set(HeaderAlgorithms, ChecksumAlgorithms)
	}
	if h.opts.Concatenation {
		extensions += ",concatenation"
	}
	if h.uploads.Expire() {
		extensions += ",expiration"
	}
	header.Set(HeaderExtension, extensions)
	if h.opts.Decoders != nil {
		header.Set("Accept-Encoding", CodingGzip) // of bodies (RFC 9110, section 12.5.3)
	}
	if most := h.uploads.MaxLength(); most > 0 {
		header.Set(HeaderMaxSize, strconv.FormatInt(most, 10))
	}
	answer(w, http.StatusNoContent)
}
