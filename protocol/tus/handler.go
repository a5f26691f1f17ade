package tus

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/streamflow/streamflow/store"
)

// Options of a Handler. The zero value works.
type Options struct {
	// BasePath is the path of the collection of uploads; default "/files/".
	// An upload is at BasePath + id.
	BasePath string
	// MaxLength is announced as Tus-Max-Size, and a longer upload is refused;
	// 0 means there is no limit.
	MaxLength int64
	// Checksums: Append honours Chunk.Verify, so clients may send checksums.
	Checksums bool
	// Concatenation: Concatenate works, so clients may send parts.
	Concatenation bool
	// Expires says when an upload goes if nothing more comes, or the zero time
	// where it stays. Nil means that none ever goes.
	Expires func(store.Info) time.Time
	// Logger hears of failed requests; default: nobody.
	Logger *slog.Logger
}

// A Handler is an http.Handler that speaks tus.
type Handler struct {
	uploads Uploads
	opts    Options
}

// NewHandler returns a Handler in front of uploads.
func NewHandler(uploads Uploads, opts *Options) *Handler {
	h := &Handler{uploads: uploads}
	if opts != nil {
		h.opts = *opts
	}
	if h.opts.BasePath == "" {
		h.opts.BasePath = "/files/"
	}
	if h.opts.Logger == nil {
		h.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(HeaderResumable, Version)
	method := r.Method
	if o := r.Header.Get(HeaderMethodOverride); o != "" {
		method = strings.ToUpper(o)
	}
	if method == http.MethodHead {
		w.Header().Set("Cache-Control", "no-store")
	}
	if err := h.serve(w, r, method); err != nil {
		h.refuse(w, r, err)
	}
}

// serve answers, or returns why it can't.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request, method string) error {
	if method == http.MethodOptions {
		h.options(w)
		return nil
	}
	id, collection, err := h.target(r)
	switch {
	case err != nil:
		return err
	case r.Header.Get(HeaderResumable) != Version:
		w.Header().Set(HeaderVersion, Version)
		return errVersion
	case collection && method == http.MethodPost:
		return h.post(w, r)
	case collection:
		w.Header().Set("Allow", "OPTIONS, POST")
		return errMethod
	}
	switch method {
	case http.MethodHead:
		return h.head(w, r, id)
	case http.MethodPatch:
		return h.patch(w, r, id)
	case http.MethodDelete:
		return h.delete(w, r, id)
	default:
		w.Header().Set("Allow", "DELETE, HEAD, OPTIONS, PATCH")
		return errMethod
	}
}

// target finds what a request is about: one upload or the collection.
func (h *Handler) target(r *http.Request) (id string, collection bool, err error) {
	if r.URL.Path == strings.TrimSuffix(h.opts.BasePath, "/") {
		return "", true, nil
	}
	id, ok := strings.CutPrefix(r.URL.Path, h.opts.BasePath)
	if !ok || strings.Contains(id, "/") {
		return "", false, store.ErrNotFound
	}
	return id, id == "", nil
}

// location is the absolute path of an upload as the client sees it.
func (h *Handler) location(r *http.Request, id string) string {
	return h.collection(r) + url.PathEscape(id)
}

// collection is the absolute path of all uploads as the client sees it. Whatever
// http.StripPrefix took away is still in the RequestURI, and is put back.
func (h *Handler) collection(r *http.Request) string {
	prefix := ""
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		if p, ok := strings.CutSuffix(u.EscapedPath(), r.URL.EscapedPath()); ok {
			prefix = p
		}
	}
	return prefix + (&url.URL{Path: h.opts.BasePath}).EscapedPath()
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
	if h.opts.Expires != nil {
		extensions += ",expiration"
	}
	header.Set(HeaderExtension, extensions)
	if h.opts.MaxLength > 0 {
		header.Set(HeaderMaxSize, strconv.FormatInt(h.opts.MaxLength, 10))
	}
	w.WriteHeader(http.StatusNoContent)
}

// What a refused body is read on for, so that a client that only listens once
// it has sent everything sees the answer.
const (
	drainBytes = 256 << 10
	drainTime  = 2 * time.Second
)

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	drain(w, r)
	h.log(r, writeProblem(w, r, err), err)
}

// log notes why a request didn't do what it asked for.
func (h *Handler) log(r *http.Request, code int, err error) {
	if code == http.StatusInternalServerError {
		h.opts.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	} else {
		h.opts.Logger.Debug("request refused", "method", r.Method, "path", r.URL.Path, "status", code, "error", err)
	}
}

// drain reads on for a while before the answer goes out.
func drain(w http.ResponseWriter, r *http.Request) {
	// Reading would ask a client that waits for 100 Continue to send; and a body
	// that was ended by a deadline is not read again.
	ended := w.Header().Get("Connection") == "close"
	if r.Body != http.NoBody && r.Header.Get("Expect") == "" && !ended {
		rc := http.NewResponseController(w)
		// net/http drains too, without a deadline unless there is one. It
		// clears the deadline before the connection's next request.
		if rc.SetReadDeadline(time.Now().Add(drainTime)) == nil {
			if _, err := io.CopyN(io.Discard, r.Body, drainBytes); !errors.Is(err, io.EOF) {
				w.Header().Set("Connection", "close")
			}
		}
	}
}
