package tus

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

func (h *Handler) head(w http.ResponseWriter, r *http.Request, id string) error {
	info, err := h.uploads.Info(r.Context(), id)
	if err != nil {
		return err
	}
	header := w.Header()
	if info.Length == store.UnknownLength {
		header.Set(HeaderDeferLength, "1")
	} else {
		header.Set(HeaderLength, strconv.FormatInt(info.Length, 10))
	}
	if metadata, err := wireOf(info.Metadata); err != nil {
		return fmt.Errorf("metadata of %s: %v", id, err) // not the client's fault: no %w
	} else if metadata != "" {
		header.Set(HeaderMetadata, metadata)
	}
	if concat, ok := info.Metadata[wireConcat]; ok {
		header.Set(HeaderConcat, concat)
	}
	h.setState(w, r, &info)
	if IsFinal(info.Metadata) && !info.Complete {
		header.Del(HeaderOffset) // it has none before it is put together
	}
	answer(w, http.StatusOK)
	return nil
}

func (h *Handler) patch(w http.ResponseWriter, r *http.Request, id string) error {
	in, err := h.readPatch(w, r)
	if err != nil {
		return h.refusePatch(w, r, id, err)
	}
	defer in.release()
	info, err := h.append(w, r, id, in)
	if info.ID != "" {
		h.setState(w, r, info)
	}
	if err != nil {
		return err
	}
	answer(w, http.StatusNoContent)
	return nil
}

// refusePatch says where the upload stands: a client needs the offset on every
// answer, and asks again if it has none.
func (h *Handler) refusePatch(w http.ResponseWriter, r *http.Request, id string, err error) error {
	info, e := h.uploads.Info(r.Context(), id)
	switch {
	case e == nil:
		h.setState(w, r, &info)
	case errors.Is(e, store.ErrNotFound), errors.Is(e, store.ErrGone):
		return e
	}
	return err
}

// readPatch reads what the headers of a PATCH say.
func (h *Handler) readPatch(w http.ResponseWriter, r *http.Request) (*incoming, error) {
	if !typed(r) {
		return nil, errContentType
	}
	offset, err := number(r.Header, HeaderOffset)
	if err != nil {
		return nil, err
	}
	if offset == store.UnknownLength {
		return nil, fmt.Errorf("%w: a PATCH needs Upload-Offset", store.ErrInvalid)
	}
	length, err := h.declaredLength(r.Header)
	if err != nil {
		return nil, err
	}
	in, err := h.incoming(w, r)
	if err != nil {
		return nil, err
	}
	in.chunk.Offset, in.chunk.Length = offset, length
	return in, nil
}

// typed says whether the body has the one type that bytes of an upload have.
func typed(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == ContentType
}

// An incoming chunk is the body of a request. It is released once it is over.
type incoming struct {
	body    *protocol.RequestBody
	chunk   protocol.Chunk
	release func()
}

// incoming makes a chunk of the request's body. Whatever that takes of memory is
// reserved.
func (h *Handler) incoming(w http.ResponseWriter, r *http.Request) (*incoming, error) {
	coding, err := h.coding(r)
	if err != nil {
		return nil, err
	}
	b := protocol.NewRequestBody(w, r)
	in := &incoming{body: b, release: func() {}}
	in.chunk = protocol.Chunk{Length: store.UnknownLength, Size: r.ContentLength, Body: b} // -1 is store.UnknownLength
	if coding != "" && r.ContentLength != 0 {
		in.chunk.Body, in.chunk.Size = &decodedBody{Body: b}, store.UnknownLength
	}
	s, err := summed(r, in.chunk.Body)
	switch {
	case err != nil:
		return nil, err
	case s != nil && !h.opts.Checksums:
		return nil, fmt.Errorf("%w: this server can't check checksums", store.ErrInvalid)
	case s != nil:
		in.chunk.Body, in.chunk.Verify = s, s.verify
		if s.trailer {
			in.chunk.Size = store.UnknownLength // it is read to its end, where the trailer is
		}
	}
	if coding != "" {
		in.release, err = h.opts.Decoders(r.Context(), decoderBytes)
	}
	return in, err
}

// append stores a chunk. The Info is not on the stack, which should stay small
// while a body waits: thousands may.
func (h *Handler) append(w http.ResponseWriter, r *http.Request, id string, in *incoming) (*store.Info, error) {
	info, err := h.uploads.Append(r.Context(), id, in.chunk)
	in.body.Settle(w)
	return &info, err
}

// delete discards an upload (extension termination).
func (h *Handler) delete(w http.ResponseWriter, r *http.Request, id string) error {
	if err := h.uploads.Terminate(r.Context(), id); err != nil {
		return err
	}
	answer(w, http.StatusNoContent)
	return nil
}

// setState says where an upload stands and when it expires and, of a complete
// one, what its digest is, if the client wants it.
func (h *Handler) setState(w http.ResponseWriter, r *http.Request, info *store.Info) {
	w.Header().Set(HeaderOffset, strconv.FormatInt(info.Offset, 10))
	h.setExpires(w, *info)
	protocol.SetDigest(w, r, *info, nil)
}

func (h *Handler) setExpires(w http.ResponseWriter, info store.Info) {
	if at := h.uploads.ExpiresAt(info); !at.IsZero() {
		w.Header().Set(HeaderExpires, at.UTC().Format(http.TimeFormat))
	}
}

func (h *Handler) declaredLength(header http.Header) (int64, error) {
	length, err := number(header, HeaderLength)
	if err != nil {
		return 0, err
	}
	return length, h.uploads.CheckLength(length)
}

// number reads a header that is a count of bytes: digits only, up to 2^63-1.
// It is store.UnknownLength where the header is missing.
func number(header http.Header, name string) (int64, error) {
	if len(header.Values(name)) == 0 {
		return store.UnknownLength, nil
	}
	s, err := single(header, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w %s: %.40q is not a number of bytes", store.ErrInvalid, name, s)
	}
	return int64(n), nil
}

// single returns a header that may come once, or "".
func single(header http.Header, name string) (string, error) {
	if len(header.Values(name)) > 1 {
		return "", fmt.Errorf("%w: %s comes more than once", store.ErrInvalid, name)
	}
	return header.Get(name), nil
}
