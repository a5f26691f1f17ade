package rufh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// errForm refuses what a browser's form sends: its body is not the file.
var errForm = &protocol.Refusal{
	Status: http.StatusUnsupportedMediaType,
	Code:   protocol.CodeMediaType,
	Detail: "this is a form, and the body has to be the file itself: curl -T FILE URL, or fetch(url, {method: 'POST', body: file})",
}

// errPart refuses what curl -C sends, the rest of a file: it would be taken for all
// of it (RFC 9110, section 14.5).
var errPart = &protocol.Refusal{
	Status: http.StatusBadRequest,
	Code:   protocol.CodeValidation,
	Detail: "an upload can't begin with a part of the file, as Content-Range says: send all of it, or go on by a PATCH with Upload-Offset",
	Err:    store.ErrInvalid,
}

// create begins an upload with the bytes that come along. name is the last part
// of the path, or empty.
func (h *Handler) create(w http.ResponseWriter, r *http.Request, name string) error {
	chunk, err := h.creation(r)
	if err != nil {
		return err
	}
	coding, err := contentCoding(r.Header)
	if err != nil {
		return err
	}
	whole := protocol.ParseDigests(r.Header.Values(protocol.HeaderReprDigest))
	spec := store.Spec{Name: filename(r, name), Length: chunk.Length, Metadata: metadata(r, name)}
	protocol.MarkExplicit(spec.Metadata, whole)
	if coding != "" {
		protocol.MarkEncoded(spec.Metadata, coding)
	}
	chunk.Whole = protocol.NewDigester(algorithms(r, whole)...)

	info, err := h.uploads.Create(r.Context(), spec)
	if err != nil {
		return err
	}
	location := h.uploads.Location(r, info.ID)
	says := h.interim(w, r)
	says.location = location
	after, body, err := h.send(w, r, info, chunk, says)
	if err != nil {
		return says.broke(info, after, body, err)
	}
	w.Header().Set("Location", location)
	h.SetState(w, r, after)
	if chunk.End == protocol.EndLater {
		w.WriteHeader(http.StatusCreated)
		return nil
	}
	h.stored(w, r, after, chunk.Whole)
	return nil
}

// creation reads what the headers say of the first chunk. Without
// Upload-Complete the body is all of it, but a PATCH has to say so.
func (h *Handler) creation(r *http.Request) (protocol.Chunk, error) {
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t == "multipart/form-data" {
		return protocol.Chunk{}, errForm
	}
	if len(r.Header.Values("Content-Range")) > 0 {
		return protocol.Chunk{}, errPart
	}
	complete, ok := boolean(r.Header, HeaderComplete)
	if !ok && r.Method == http.MethodPatch {
		return protocol.Chunk{}, fmt.Errorf("%w: a PATCH needs Upload-Complete, ?0 or ?1", store.ErrInvalid)
	}
	chunk, err := h.declared(r, 0, complete || !ok)
	if err != nil {
		return protocol.Chunk{}, err
	}
	return chunk, h.uploads.CheckLength(max(chunk.Length, chunk.Size))
}

// broke answers a creation that didn't go through. What came of a body that
// broke off stays, for a client that knows where, and so does what another request
// has; what is refused goes, and what a client left behind that was never told.
func (i *interim) broke(info, after store.Info, body *protocol.RequestBody, err error) error {
	gone := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled)
	stays := protocol.Status(err) >= http.StatusInternalServerError || protocol.Overtaken(err)
	if gone {
		stays = i.version != 0
	}
	switch {
	case stays:
		i.w.Header().Set("Location", i.location)
		if after.ID != "" {
			i.h.SetState(i.w, i.r, after)
		}
	case body.Whole() && after.ID == "": // refused as a whole, and gone
		i.w.Header().Set(HeaderComplete, "?1")
	case gone && after.ID == "": // it couldn't look: another request may have it
	default:
		info.Offset = after.Offset
		i.h.uploads.Withdraw(i.r, info)
	}
	return err
}

// stored is the answer to an upload that is complete, for people too.
func (h *Handler) stored(w http.ResponseWriter, r *http.Request, info store.Info, computed *protocol.Digester) {
	protocol.SetDigest(w, r, info, computed)
	header := w.Header()
	header.Set("Location", h.uploads.Location(r, info.ID))
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, "%d bytes are stored, at %s\n", info.Length, header.Get("Location")) // the client may be gone
}

// filename is what Content-Disposition says (RFC 6266), else the last part of
// the path.
func filename(r *http.Request, name string) string {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Disposition"))
	if given := path.Base(strings.ReplaceAll(params["filename"], "\\", "/")); err == nil && given != "." && given != "/" {
		return given
	}
	return name
}

// metadata keeps what the headers say of the file. The type that curl gives any
// body says nothing.
func metadata(r *http.Request, name string) map[string]string {
	m := make(map[string]string)
	if name := filename(r, name); name != "" {
		m[store.MetadataFilename] = name
	}
	switch t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); {
	case err != nil, t == ContentType, t == "application/x-www-form-urlencoded":
	default:
		m[store.MetadataFiletype] = r.Header.Get("Content-Type")
	}
	return m
}

// contentCoding is how the file is encoded, or "". What codings there are is
// nothing to this server, which takes them off for nobody.
func contentCoding(header http.Header) (string, error) {
	coding := strings.ToLower(strings.Join(header.Values("Content-Encoding"), ", "))
	if coding == "identity" {
		return "", nil
	}
	if len(coding) > 100 || strings.ContainsFunc(coding, func(c rune) bool { return c < ' ' || c > '~' }) {
		return "", fmt.Errorf("%w: Content-Encoding is a short list of codings, as gzip", store.ErrInvalid)
	}
	return coding, nil
}

// algorithms are what is computed while the body comes: those to be checked, and
// those that are wanted.
func algorithms(r *http.Request, whole protocol.Digests) []string {
	return append(whole.Algorithms(), protocol.WantedDigests(r.Header.Values(protocol.HeaderWantReprDigest))...)
}
