package tus

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/streamflow/streamflow/store"
)

// wireConcat keeps an Upload-Concat header, which HEAD gives back. No client
// can set it by Upload-Metadata: the key has a space.
const wireConcat = "tus concat"

const (
	concatPartial = "partial"
	concatFinal   = "final;"
)

// IsPartial says whether an upload with that metadata is a part of others to
// come. It is never finished, as nobody wants it for itself.
func IsPartial(metadata map[string]string) bool { return metadata[wireConcat] == concatPartial }

// IsFinal says whether an upload with that metadata was put together from
// partial ones, and so takes no bytes.
func IsFinal(metadata map[string]string) bool {
	return strings.HasPrefix(metadata[wireConcat], concatFinal)
}

// parseConcat reads an Upload-Concat header: "partial", or "final;" and the
// URLs of the parts, separated by spaces.
func parseConcat(header string) (parts []string, err error) {
	if header == concatPartial {
		return nil, nil
	}
	list, final := strings.CutPrefix(header, concatFinal)
	if parts = strings.Fields(list); !final || len(parts) == 0 {
		return nil, fmt.Errorf("%w: Upload-Concat is partial, or final; and the URLs of partial uploads", store.ErrInvalid)
	}
	return parts, nil
}

// postFinal creates an upload from others (extension concatenation).
func (h *Handler) postFinal(w http.ResponseWriter, r *http.Request, parts []string) error {
	switch {
	case len(r.Header.Values(HeaderLength))+len(r.Header.Values(HeaderDeferLength)) > 0:
		return fmt.Errorf("%w: a final upload has the length of its parts, and no Upload-Length", store.ErrInvalid)
	case hasBody(r):
		return fmt.Errorf("%w: a final upload has the bytes of its parts, and no body", store.ErrInvalid)
	}
	metadata, err := declaredMetadata(r.Header)
	if err != nil {
		return err
	}
	ids := make([]string, len(parts))
	for i, part := range parts {
		if ids[i], err = h.resolve(r, part); err != nil {
			return err
		}
	}
	info, err := h.uploads.Concatenate(r.Context(), store.Spec{
		Name:     metadata[store.MetadataFilename],
		Length:   store.UnknownLength,
		Metadata: metadata,
	}, ids)
	if err != nil {
		return err
	}
	w.Header().Set("Location", h.uploads.Location(r, info.ID))
	answer(w, http.StatusCreated)
	return nil
}

// resolve returns the id in the URL of an upload, which may be relative to that
// of the request. Its host isn't looked at: a proxy may have changed ours, and
// nothing is fetched.
func (h *Handler) resolve(r *http.Request, ref string) (string, error) {
	here, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		here = r.URL
	}
	u, err := here.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("%w: Upload-Concat has %.100q, which is no URL", store.ErrInvalid, ref)
	}
	escaped, ours := strings.CutPrefix(u.EscapedPath(), h.uploads.Path(r))
	id, err := url.PathUnescape(escaped)
	if !ours || err != nil || id == "" || strings.Contains(id, "/") {
		return "", fmt.Errorf("%w: Upload-Concat has %.100q, which is no upload here", store.ErrInvalid, ref)
	}
	return id, nil
}
