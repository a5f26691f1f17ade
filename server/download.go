package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/page"
	"github.com/streamflow/streamflow/store"
)

// downloadBytes is what a download costs: a request, and the 32 KiB that
// package io copies through.
const downloadBytes = requestBytes + 32<<10

// errUnfinished refuses to give back what isn't there whole, under a name that
// nothing had before it was.
var errUnfinished = &protocol.Refusal{
	Status: http.StatusNotFound,
	Code:   "UNFINISHED",
	Detail: "this upload isn't finished: it can be read once it has its last byte",
}

// downloads are the uploads that are given back: finished ones.
type downloads struct{ s *Server }

// OpenReader implements store.Reader.
func (d downloads) OpenReader(ctx context.Context, id string) (io.ReadSeekCloser, store.Info, error) {
	content, info, err := d.s.observed.OpenReader(ctx, id)
	switch {
	case errors.Is(err, store.ErrIncomplete):
		return nil, store.Info{}, errUnfinished
	case err != nil:
		return nil, store.Info{}, fmt.Errorf("open for reading: %w", err)
	case d.s.expired(info):
		err = store.ErrGone
	case !info.Complete:
		err = errUnfinished
	default:
		return content, info, nil
	}
	return nil, store.Info{}, errors.Join(err, content.Close())
}

// download answers a GET.
func (s *Server) download(w http.ResponseWriter, r *http.Request) {
	id, err := s.uploads.Target(r)
	switch {
	case err != nil:
	case id == "" && page.Wanted(r):
		s.lead(w, r)
	case id == "" || s.reader == nil:
		err = protocol.MethodNotAllowed("DELETE, HEAD, OPTIONS, PATCH, POST, PUT")
	default:
		err = s.send(w, r, id)
	}
	if err != nil {
		s.uploads.Refuse(w, r, err)
	}
}

// send answers with the bytes of a finished upload, or those of a Range. It is
// a file to keep: no browser takes it for a page of this site, whatever is in it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, id string) error {
	release, err := s.charge(r.Context(), downloadBytes)
	if err != nil {
		return err
	}
	defer release()
	content, info, err := s.reader.OpenReader(r.Context(), id)
	if err != nil {
		return err
	}
	defer content.Close()
	h := w.Header()
	h.Set("Content-Type", mediaType(info))
	h.Set("Content-Disposition", disposition(info))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("ETag", etag(info))
	if coding := protocol.ContentCoding(info.Metadata); coding != "" {
		h.Set("Content-Encoding", coding)
	}
	protocol.SetDigest(w, r, info, nil)
	if r.Method == http.MethodHead {
		s.rufh.SetState(w, r, info)
	}
	rc := http.NewResponseController(w)
	http.ServeContent(&downloadWriter{ResponseWriter: w, request: r, length: info.Length}, r, "", info.ModifiedAt,
		&outgoing{ReadSeeker: content, rc: rc, idle: s.opts.IdleTimeout, ending: s.ending})
	// The deadline is the connection's: it goes once the last bytes have gone.
	_ = rc.Flush()
	_ = rc.SetWriteDeadline(time.Time{})
	return nil
}

// mediaType is what the client said of its file, if that is one.
func mediaType(info store.Info) string {
	t, params, err := mime.ParseMediaType(info.Metadata[store.MetadataFiletype])
	if err == nil {
		t = mime.FormatMediaType(t, params)
	}
	if err != nil || t == "" {
		return "application/octet-stream"
	}
	return t
}

// disposition names the file (RFC 6266) by the last element of its name, and
// only by what can be seen of that: neither a line break nor what turns the
// direction of writing around comes through.
func disposition(info store.Info) string {
	name := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(info.Name, ""))
	name = path.Base(strings.ReplaceAll(name, "\\", "/"))
	if name == "." || name == ".." || name == "/" {
		name = info.ID
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}

// etag is the same as long as the bytes are: a finished upload never changes.
func etag(info store.Info) string {
	if info.Sum.Known {
		return fmt.Sprintf(`"%08x-%d"`, info.Sum.CRC32C, info.Length)
	}
	return fmt.Sprintf(`"%x-%d"`, info.ModifiedAt.UnixNano(), info.Length)
}

// An outgoing file gives its client time for each piece, and ends with the
// server: the client goes on by Range.
type outgoing struct {
	io.ReadSeeker
	rc     *http.ResponseController
	idle   time.Duration
	ending <-chan struct{}
}

// Read implements io.Reader.
func (o *outgoing) Read(p []byte) (int, error) {
	select {
	case <-o.ending:
		return 0, errShutdown
	default:
	}
	_ = o.rc.SetWriteDeadline(time.Now().Add(o.idle)) // without deadlines it takes as long as it takes
	return o.ReadSeeker.Read(p)
}

// A downloadWriter makes a problem of what http.ServeContent refuses, and says how
// long a file is also where it has a content coding.
type downloadWriter struct {
	http.ResponseWriter
	request *http.Request
	length  int64
	refused bool
}

// WriteHeader implements http.ResponseWriter.
func (w *downloadWriter) WriteHeader(status int) {
	if status == http.StatusOK {
		w.Header().Set("Content-Length", strconv.FormatInt(w.length, 10))
	}
	if status != http.StatusRequestedRangeNotSatisfiable {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.refused = true
	protocol.WriteProblem(w.ResponseWriter, w.request, &protocol.Refusal{
		Status: status,
		Code:   "RANGE_NOT_SATISFIABLE",
		Detail: "the file has no such range, or Range is malformed",
	})
}

// Write implements io.Writer.
func (w *downloadWriter) Write(p []byte) (int, error) {
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}
