package tus

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/streamflow/streamflow/store"
)

// wireMetadata keeps an Upload-Metadata header that EncodeMetadata wouldn't
// give back letter by letter, as HEAD must. No client can set it: the key has
// a space.
const wireMetadata = "tus metadata"

// post creates an upload (extension creation).
func (h *Handler) post(w http.ResponseWriter, r *http.Request) error {
	length, err := h.declaredLength(r.Header)
	if err != nil {
		return err
	}
	deferred := len(r.Header.Values(HeaderDeferLength)) > 0
	switch {
	case deferred && r.Header.Get(HeaderDeferLength) != "1":
		return fmt.Errorf("%w: Upload-Defer-Length can only be 1", store.ErrInvalid)
	case deferred == (length != store.UnknownLength):
		return fmt.Errorf("%w: send either Upload-Length or Upload-Defer-Length", store.ErrInvalid)
	}
	header, err := single(r.Header, HeaderMetadata)
	if err != nil {
		return err
	}
	metadata, err := ParseMetadata(header)
	if err != nil {
		return err
	}
	if again, err := EncodeMetadata(metadata); err != nil {
		return err
	} else if again != header {
		metadata[wireMetadata] = header
	}
	info, err := h.uploads.Create(r.Context(), store.Spec{
		Name:     metadata[MetadataFilename],
		Length:   length,
		Metadata: metadata,
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", h.location(r, info.ID))
	w.WriteHeader(http.StatusCreated)
	return nil
}

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
	if wire, ok := info.Metadata[wireMetadata]; ok {
		header.Set(HeaderMetadata, wire)
	} else if metadata, err := EncodeMetadata(info.Metadata); err != nil {
		return fmt.Errorf("metadata of %s: %v", id, err) // not the client's fault: no %w
	} else if metadata != "" {
		header.Set(HeaderMetadata, metadata)
	}
	setOffset(w, r, info)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) patch(w http.ResponseWriter, r *http.Request, id string) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != ContentType {
		return errContentType
	}
	offset, err := number(r.Header, HeaderOffset)
	if err != nil {
		return err
	}
	if offset == store.UnknownLength {
		return fmt.Errorf("%w: a PATCH needs Upload-Offset", store.ErrInvalid)
	}
	length, err := h.declaredLength(r.Header)
	if err != nil {
		return err
	}
	b := &body{Reader: r.Body, rc: http.NewResponseController(w)}
	info, err := h.uploads.Append(r.Context(), id, Chunk{
		Offset: offset,
		Length: length,
		Size:   r.ContentLength, // -1 is store.UnknownLength
		Body:   b,
	})
	if b.ended.Load() {
		// A deadline that passes ends the context of the whole connection,
		// for the requests after this one too.
		w.Header().Set("Connection", "close")
	}
	if info.ID != "" {
		setOffset(w, r, info)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// delete discards an upload (extension termination).
func (h *Handler) delete(w http.ResponseWriter, r *http.Request, id string) error {
	if err := h.uploads.Terminate(r.Context(), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// setOffset says where an upload stands and, of a complete one, what its
// digest is, if the client wants it.
func setOffset(w http.ResponseWriter, r *http.Request, info store.Info) {
	w.Header().Set(HeaderOffset, strconv.FormatInt(info.Offset, 10))
	if info.Complete && info.Sum.Known && wantsDigest(r.Header.Get(HeaderWantReprDigest)) {
		w.Header().Set(HeaderReprDigest, FormatDigest(info.Sum))
	}
}

func (h *Handler) declaredLength(header http.Header) (int64, error) {
	length, err := number(header, HeaderLength)
	if err == nil && h.maxLength > 0 && length > h.maxLength {
		return 0, fmt.Errorf("%w: %d bytes is the most", store.ErrTooLarge, h.maxLength)
	}
	return length, err
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

// body is a request's body with its connection's read deadline.
type body struct {
	io.Reader
	rc    *http.ResponseController
	ended atomic.Bool // by a deadline
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		b.ended.Store(true)
	}
	return n, err
}

func (b *body) SetReadDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		b.ended.Store(true)
	}
	return b.rc.SetReadDeadline(t)
}
