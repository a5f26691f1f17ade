package rufh

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// Options of a Handler. The zero value works.
type Options struct {
	// Digests: Append honours Chunk.Verify, so Content-Digest can be checked.
	// Elsewhere it is ignored, as RFC 9530 allows.
	Digests bool
}

// A Handler is an http.Handler that speaks RUFH.
type Handler struct {
	uploads *protocol.Collection
	opts    Options
}

// NewHandler returns a Handler in front of uploads.
func NewHandler(uploads *protocol.Collection, opts *Options) *Handler {
	h := &Handler{uploads: uploads}
	if opts != nil {
		h.opts = *opts
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.serve(w, r); err != nil {
		if errors.Is(err, store.ErrTooLarge) {
			h.setLimit(w, r, store.Info{})
		}
		h.uploads.Refuse(w, r, err)
	}
}

// serve answers, or returns why it can't.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	id, err := h.uploads.Target(r)
	if err != nil {
		return err
	}
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		return h.create(w, r, id)
	case http.MethodPatch:
		if id == "" {
			return h.create(w, r, "")
		}
		return h.patch(w, r, id)
	case http.MethodOptions:
		h.Announce(w, r)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	switch {
	case id == "":
		return protocol.MethodNotAllowed("OPTIONS, PATCH, POST, PUT")
	case r.Method == http.MethodHead:
		return h.head(w, r, id)
	case r.Method == http.MethodDelete:
		return h.delete(w, r, id)
	default:
		return protocol.MethodNotAllowed("DELETE, HEAD, OPTIONS, PATCH, POST, PUT")
	}
}

// Announce says on the answer to an OPTIONS what uploads may be like.
func (h *Handler) Announce(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Accept-Patch", ContentType)
	h.setLimit(w, r, store.Info{CreatedAt: time.Now(), Length: store.UnknownLength})
	if w.Header().Get(HeaderLimit) == "" {
		w.Header().Set(HeaderLimit, "min-size=0") // an empty dictionary can't be sent
	}
}

func (h *Handler) head(w http.ResponseWriter, r *http.Request, id string) error {
	w.Header().Set("Cache-Control", "no-store")
	info, err := h.uploads.Info(r.Context(), id)
	if err != nil {
		return err
	}
	h.SetState(w, r, info)
	protocol.SetDigest(w, r, info, nil)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) delete(w http.ResponseWriter, r *http.Request, id string) error {
	if err := h.uploads.Terminate(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// SetState says on an answer where an upload stands, and what its limits are.
func (h *Handler) SetState(w http.ResponseWriter, r *http.Request, info store.Info) {
	header := w.Header()
	header.Set(HeaderOffset, format(info.Offset))
	header.Set(HeaderComplete, formatBoolean(info.Complete))
	if info.Length != store.UnknownLength {
		header.Set(HeaderLength, format(info.Length))
	}
	h.setLimit(w, r, info)
}

// setLimit sets the limits of an upload, where there are any. A client of
// version 6 knows the time that is left by another name.
func (h *Handler) setLimit(w http.ResponseWriter, r *http.Request, info store.Info) {
	limit := ""
	if most := h.uploads.MaxLength(); most > 0 {
		limit = fmt.Sprintf("max-size=%d", most)
	}
	if at := h.uploads.ExpiresAt(info); !at.IsZero() {
		if limit != "" {
			limit += ", "
		}
		age := "max-age"
		if interop(r.Header) == version6 {
			age = "expires"
		}
		limit += fmt.Sprintf("%s=%d", age, max(0, int64(time.Until(at)/time.Second)))
	}
	if limit != "" {
		w.Header().Set(HeaderLimit, limit)
	}
}
