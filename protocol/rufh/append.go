package rufh

import (
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// patch appends to an upload.
func (h *Handler) patch(w http.ResponseWriter, r *http.Request, id string) error {
	chunk, err := h.appendage(r)
	if err != nil {
		return h.misread(w, r, id, err)
	}
	info, body, err := h.send(w, r, store.Info{ID: id}, chunk, h.interim(w, r))
	if info.ID != "" {
		h.SetState(w, r, info)
	} else if err != nil && chunk.End == protocol.EndHere && body.Whole() {
		w.Header().Set(HeaderComplete, "?1") // all of it came, and the whole is refused
	}
	switch {
	case errors.Is(err, store.ErrTooLarge):
		return h.overrun(r, info, err)
	case err != nil:
		return err
	case chunk.End == protocol.EndHere:
		h.stored(w, r, info, nil)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// overrun ends an upload that got more bytes than it may have: its client and
// this server don't agree about it any more.
func (h *Handler) overrun(r *http.Request, info store.Info, err error) error {
	if info.ID == "" || info.Complete {
		return err
	}
	h.uploads.Withdraw(r, info)
	if info.Length == store.UnknownLength {
		return err
	}
	refusal := protocol.InconsistentLength(fmt.Sprintf("the upload's length is %d, and more came: the upload is discarded", info.Length))
	refusal.Limit = info.Length
	return refusal
}

// appendage reads what the headers of a PATCH say.
func (h *Handler) appendage(r *http.Request) (protocol.Chunk, error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != ContentType {
		return protocol.Chunk{}, &protocol.Refusal{
			Status: http.StatusUnsupportedMediaType,
			Code:   protocol.CodeMediaType,
			Detail: "the Content-Type of a PATCH is " + ContentType,
			Header: http.Header{"Accept-Patch": {ContentType}},
		}
	}
	offset, ok := integer(r.Header, HeaderOffset)
	complete, known := boolean(r.Header, HeaderComplete)
	if !ok || !known {
		return protocol.Chunk{}, fmt.Errorf("%w: a PATCH needs Upload-Offset, a number, and Upload-Complete, ?0 or ?1", store.ErrInvalid)
	}
	chunk, err := h.declared(r, offset, complete)
	if err != nil {
		return protocol.Chunk{}, err
	}
	return chunk, h.uploads.CheckLength(chunk.Length)
}

// declared reads what the headers say about lengths: the body's, if it is the
// last, and Upload-Length declare the upload's, and have to agree.
func (h *Handler) declared(r *http.Request, offset int64, complete bool) (protocol.Chunk, error) {
	chunk := protocol.Chunk{Offset: offset, Length: store.UnknownLength, Size: r.ContentLength, End: protocol.EndLater}
	if complete {
		chunk.End = protocol.EndHere
		if chunk.Size != store.UnknownLength {
			chunk.Length = offset + chunk.Size
		}
	}
	length, ok := integer(r.Header, HeaderLength)
	switch {
	case !ok:
	case chunk.Length != store.UnknownLength && chunk.Length != length:
		return protocol.Chunk{}, protocol.InconsistentLength(fmt.Sprintf(
			"Upload-Length is %d, and with this body the upload ends at %d", length, chunk.Length))
	default:
		chunk.Length = length
	}
	return chunk, nil
}

// misread answers a PATCH whose headers can't be read. The offset is on every
// answer about an upload that is there.
func (h *Handler) misread(w http.ResponseWriter, r *http.Request, id string, err error) error {
	info, e := h.uploads.Info(r.Context(), id)
	switch {
	case e == nil:
		h.SetState(w, r, info)
	case errors.Is(e, store.ErrNotFound), errors.Is(e, store.ErrGone):
		return e
	}
	return err
}

// send appends the request's body to an upload. The interim answers go out
// meanwhile.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, info store.Info, chunk protocol.Chunk, says *interim) (store.Info, *protocol.RequestBody, error) {
	body := protocol.NewRequestBody(w, r)
	chunk.Body, chunk.Progress = body, says.progress(info)
	if chunk.Whole != nil {
		chunk.Body = protocol.Tee(chunk.Body, chunk.Whole)
	}
	if want := protocol.ParseDigests(r.Header.Values(protocol.HeaderContentDigest)); len(want) > 0 && h.opts.Digests {
		content := protocol.NewDigester(want.Algorithms()...)
		chunk.Body = protocol.Tee(chunk.Body, content)
		chunk.Verify = func() error { return content.Check(want) }
	}
	after, err := h.uploads.Append(r.Context(), info.ID, chunk)
	body.Settle(w)
	return after, body, err
}
