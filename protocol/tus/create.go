package tus

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// wireMetadata keeps an Upload-Metadata header that EncodeMetadata wouldn't
// give back letter by letter, as HEAD must. No client can set it: the key has
// a space.
const wireMetadata = "tus metadata"

// post creates an upload (extensions creation and creation-with-upload).
func (h *Handler) post(w http.ResponseWriter, r *http.Request) error {
	concat, err := single(r.Header, HeaderConcat)
	if err != nil {
		return err
	}
	if len(r.Header.Values(HeaderConcat)) > 0 {
		parts, err := parseConcat(concat)
		switch {
		case err != nil:
			return err
		case !h.opts.Concatenation:
			return fmt.Errorf("%w: this server can't put uploads together", store.ErrInvalid)
		case parts != nil:
			return h.postFinal(w, r, parts)
		}
	}
	spec, err := h.spec(r.Header)
	if err != nil {
		return err
	}
	if !typed(r) {
		if hasBody(r) {
			return errContentType
		}
		info, err := h.uploads.Create(r.Context(), spec)
		if err != nil {
			return err
		}
		h.created(w, r, info)
		return nil
	}
	return h.postWithUpload(w, r, spec)
}

// postWithUpload takes the first bytes with the creation. If they are refused,
// so is the whole; if they break off, the client hears how far they came, as it
// could have no other way to the upload. What another request has, or may have,
// as this one couldn't look, stays as it is.
func (h *Handler) postWithUpload(w http.ResponseWriter, r *http.Request, spec store.Spec) error {
	in, err := h.incoming(w, r)
	if err != nil {
		return err
	}
	defer in.release()
	info, err := h.uploads.Create(r.Context(), spec)
	if err != nil {
		return err
	}
	if in.chunk.Size != 0 || in.chunk.Verify != nil {
		after, err := h.append(w, r, info.ID, in)
		if err != nil {
			switch code := protocol.Status(err); {
			case protocol.Overtaken(err), after.ID == "" && code >= http.StatusInternalServerError:
				return err
			case after.Offset == 0 || code < http.StatusInternalServerError:
				info.Offset = after.Offset
				h.uploads.Withdraw(r, info)
				return err
			default:
				h.uploads.Log(r, code, err)
				protocol.Drain(w, r)
			}
		}
		info = *after
	}
	w.Header().Set(HeaderOffset, strconv.FormatInt(info.Offset, 10))
	h.created(w, r, info)
	return nil
}

func (h *Handler) created(w http.ResponseWriter, r *http.Request, info store.Info) {
	h.setExpires(w, info)
	w.Header().Set("Location", h.uploads.Location(r, info.ID))
	answer(w, http.StatusCreated)
}

// hasBody: an empty one of a client that didn't say its size has no type.
func hasBody(r *http.Request) bool {
	return r.ContentLength > 0 || r.ContentLength < 0 && r.Header.Get("Content-Type") != ""
}

// spec reads what the headers say of an upload to be created.
func (h *Handler) spec(header http.Header) (store.Spec, error) {
	length, err := h.declaredLength(header)
	if err != nil {
		return store.Spec{}, err
	}
	deferred := len(header.Values(HeaderDeferLength)) > 0
	switch {
	case deferred && header.Get(HeaderDeferLength) != "1":
		return store.Spec{}, fmt.Errorf("%w: Upload-Defer-Length can only be 1", store.ErrInvalid)
	case deferred == (length != store.UnknownLength):
		return store.Spec{}, fmt.Errorf("%w: send either Upload-Length or Upload-Defer-Length", store.ErrInvalid)
	}
	metadata, err := declaredMetadata(header)
	if err != nil {
		return store.Spec{}, err
	}
	return store.Spec{Name: metadata[store.MetadataFilename], Length: length, Metadata: metadata}, nil
}

// declaredMetadata returns what is kept with an upload: its metadata and what
// HEAD has to give back of its headers.
func declaredMetadata(header http.Header) (map[string]string, error) {
	wire, err := single(header, HeaderMetadata)
	if err != nil {
		return nil, err
	}
	metadata, err := ParseMetadata(wire)
	if err != nil {
		return nil, err
	}
	again, err := EncodeMetadata(metadata)
	if err != nil {
		return nil, err
	}
	if again != wire {
		metadata[wireMetadata] = wire
	}
	if concat := header.Get(HeaderConcat); concat != "" {
		if metadata == nil {
			metadata = make(map[string]string)
		}
		metadata[wireConcat] = concat
	}
	return metadata, nil
}

// wireOf returns the Upload-Metadata header of an upload, as it was sent. Keys
// with a space are the server's own.
func wireOf(metadata map[string]string) (string, error) {
	if wire, ok := metadata[wireMetadata]; ok {
		return wire, nil
	}
	sent := maps.Clone(metadata)
	maps.DeleteFunc(sent, func(key, _ string) bool { return strings.Contains(key, " ") }) // the server's own
	return EncodeMetadata(sent)
}
