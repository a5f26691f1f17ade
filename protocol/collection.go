package protocol

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/streamflow/streamflow/store"
)

// Options of a Collection. The zero value works.
type Options struct {
	// BasePath is the path of the collection of uploads; default "/files/".
	// An upload is at BasePath + id.
	BasePath string
	// MaxLength is announced to clients, in bytes, and a longer upload is
	// refused; 0 means there is no limit.
	MaxLength int64
	// KeepQuery names a parameter of a request's URL that Location has too, as it
	// has the right to go on; default: none.
	KeepQuery string
	// Expires says when an upload goes if nothing more comes, or the zero time
	// where it stays. Nil means that none ever goes.
	Expires func(store.Info) time.Time
	// Logger hears of failed requests; default: nobody.
	Logger *slog.Logger
}

// A Collection is the uploads below one path, as every protocol sees them.
type Collection struct {
	Uploads
	opts Options
}

// NewCollection returns uploads as a Collection.
func NewCollection(uploads Uploads, opts *Options) *Collection {
	c := &Collection{Uploads: uploads}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.BasePath == "" {
		c.opts.BasePath = "/files/"
	}
	if c.opts.Logger == nil {
		c.opts.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// MaxLength of an upload in bytes, or 0.
func (c *Collection) MaxLength() int64 { return c.opts.MaxLength }

// CheckLength refuses a length beyond MaxLength. An unknown one is fine.
func (c *Collection) CheckLength(length int64) error {
	if c.opts.MaxLength > 0 && length > c.opts.MaxLength {
		return TooLarge(c.opts.MaxLength, "the upload is larger than this server takes")
	}
	return nil
}

// Expire says whether uploads may expire.
func (c *Collection) Expire() bool { return c.opts.Expires != nil }

// ExpiresAt is when an upload goes, or the zero time where it stays.
func (c *Collection) ExpiresAt(info store.Info) time.Time {
	if c.opts.Expires == nil {
		return time.Time{}
	}
	return c.opts.Expires(info)
}

// Target finds what a request is about: one upload, or the collection with the
// id "". Anything else is store.ErrNotFound.
func (c *Collection) Target(r *http.Request) (id string, err error) {
	if r.URL.Path == strings.TrimSuffix(c.opts.BasePath, "/") {
		return "", nil
	}
	id, ok := strings.CutPrefix(r.URL.Path, c.opts.BasePath)
	if !ok || strings.Contains(id, "/") {
		return "", store.ErrNotFound
	}
	return id, nil
}

// Location is the absolute path of an upload as the client sees it, with the query
// that it needs.
func (c *Collection) Location(r *http.Request, id string) string {
	location := c.Path(r) + url.PathEscape(id)
	if value := r.URL.Query().Get(c.opts.KeepQuery); value != "" && c.opts.KeepQuery != "" {
		location += "?" + url.Values{c.opts.KeepQuery: {value}}.Encode()
	}
	return location
}

// Path is the absolute path of all uploads as the client sees it. Whatever
// http.StripPrefix took away is still in the RequestURI, and is put back.
func (c *Collection) Path(r *http.Request) string {
	prefix := ""
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		if p, ok := strings.CutSuffix(u.EscapedPath(), r.URL.EscapedPath()); ok {
			prefix = p
		}
	}
	return prefix + (&url.URL{Path: c.opts.BasePath}).EscapedPath()
}

type (
	withdrawal struct{}
	sparing    struct{}
)

// Sparing returns a context for a Terminate that fails with refusal where the upload
// is complete.
func Sparing(ctx context.Context, refusal error) context.Context {
	return context.WithValue(ctx, sparing{}, refusal)
}

// Spares returns the refusal of Sparing, or nil.
func Spares(ctx context.Context) error {
	refusal, _ := ctx.Value(sparing{}).(error)
	return refusal
}

// Withdrawing returns a context for a Terminate that no client asked for: it takes
// back what the same request has begun or spoilt, and left at that offset.
func Withdrawing(ctx context.Context, offset int64) context.Context {
	return context.WithValue(context.WithoutCancel(ctx), withdrawal{}, offset)
}

// Withdraws reports whether a Terminate is one of Withdrawing. An upload that doesn't
// stand at that offset stays: another request has had it since.
func Withdraws(ctx context.Context) (offset int64, ok bool) {
	offset, ok = ctx.Value(withdrawal{}).(int64)
	return offset, ok
}

// Overtaken reports whether err says that another request has had the upload since:
// what that one did stays. That happens to a creation too, where the client knows
// the id before it is answered.
func Overtaken(err error) bool {
	return errors.Is(err, store.ErrSuperseded) || errors.Is(err, ErrCompleted) || errors.As(err, new(*store.OffsetError))
}

// Withdraw discards an upload whose id the client never hears, and that stands where
// the request left it. A request that was Overtaken withdraws nothing.
func (c *Collection) Withdraw(r *http.Request, left store.Info) {
	ctx := Withdrawing(r.Context(), left.Offset)
	if err := c.Terminate(ctx, left.ID); err != nil && !errors.Is(err, store.ErrNotFound) {
		c.opts.Logger.Warn("a refused upload stays", "path", r.URL.Path, "error", err)
	}
}

// Refuse answers with err, after it has read on for a while: see Drain.
func (c *Collection) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	Drain(w, r)
	c.Log(r, WriteProblem(w, r, err), err)
}

// Log notes why a request didn't do what it asked for.
func (c *Collection) Log(r *http.Request, status int, err error) {
	if status == http.StatusInternalServerError {
		c.opts.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	} else {
		c.opts.Logger.Debug("request refused", "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	}
}

// What a refused body is read on for.
const (
	drainBytes = 256 << 10
	drainTime  = 2 * time.Second
)

// Drain reads on for a while before an answer goes out, so that a client which
// only listens once it has sent everything sees the answer.
func Drain(w http.ResponseWriter, r *http.Request) {
	// Reading would ask a client that waits for 100 Continue to send; and a body
	// that was ended by a deadline is not read again.
	ended := w.Header().Get("Connection") == "close"
	if r.Body == http.NoBody || r.Header.Get("Expect") != "" || ended {
		return
	}
	// net/http drains too, without a deadline unless there is one. It clears
	// the deadline before the connection's next request.
	if http.NewResponseController(w).SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, r.Body, drainBytes); !errors.Is(err, io.EOF) {
		w.Header().Set("Connection", "close")
	}
}
