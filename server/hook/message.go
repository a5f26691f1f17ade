package hook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store"
)

// Version of messages. It changes where a receiver would have to.
const Version = 1

// A Message is what a hook gets to read, as JSON.
type Message struct {
	Version int `json:"version"`
	// ID tells messages apart. It stays the same where one is delivered again.
	ID    string    `json:"id"`
	Event Event     `json:"event"`
	Time  time.Time `json:"time"`
	// Upload is as it stood at that time.
	Upload Upload `json:"upload"`
	// Request is the one that led to the event, or nil.
	Request *Request `json:"request,omitempty"`
}

// An Upload is what a message says of one.
type Upload struct {
	ID   string `json:"id,omitempty"` // empty before the creation
	Name string `json:"name"`
	// Length in bytes, or nil where it isn't known yet.
	Length   *int64            `json:"length"`
	Offset   int64             `json:"offset"`
	Metadata map[string]string `json:"metadata"`
	Owner    string            `json:"owner,omitempty"`
	// Partial: it is a part of uploads to come, and is never finished.
	Partial bool `json:"partial,omitempty"`
	// Location is where its bytes are once all of them are there: the path of a
	// file or a URL. The file must not be changed, nor moved before the upload is
	// finished.
	Location string `json:"location,omitempty"`
}

// A Request is what a message says of one.
type Request struct {
	Method string `json:"method"`
	// Client is the address of who makes it, as far as the server can tell.
	Client string `json:"client,omitempty"`
	// Headers are those of [Options].Headers.
	Headers map[string]string `json:"headers,omitempty"`
}

type requestKey struct{}

// NewContext returns a context in which messages tell of r.
func (h *Hooks) NewContext(r *http.Request) context.Context {
	seen := &Request{Method: r.Method}
	if client := auth.FromContext(r.Context()).Client; client.IsValid() {
		seen.Client = client.String()
	}
	for _, name := range h.opts.Headers {
		if values := r.Header.Values(name); len(values) > 0 {
			if seen.Headers == nil {
				seen.Headers = make(map[string]string)
			}
			seen.Headers[textproto.CanonicalMIMEHeaderKey(name)] = strings.Join(values, ", ")
		}
	}
	return context.WithValue(r.Context(), requestKey{}, seen)
}

// checkHeaders refuses what would hand out passwords.
func checkHeaders(names []string) error {
	for _, name := range names {
		switch textproto.CanonicalMIMEHeaderKey(name) {
		case "Authorization", "Proxy-Authorization", "Cookie":
			return fmt.Errorf("header %s is never shown to hooks", name)
		case "":
			return errors.New("a header's name is empty")
		}
	}
	return nil
}

// newMessage makes one of what happens now.
func newMessage(ctx context.Context, event Event, info store.Info) Message {
	m := Message{Version: Version, ID: deliveryID(event, info.ID), Event: event, Time: time.Now().UTC(), Upload: newUpload(info)}
	m.Request, _ = ctx.Value(requestKey{}).(*Request)
	if m.Upload.Owner == "" {
		m.Upload.Owner = auth.FromContext(ctx).Owner
	}
	return m
}

func newUpload(info store.Info) Upload {
	u := Upload{
		ID: info.ID, Name: info.Name, Offset: info.Offset,
		Metadata: maps.Clone(info.Metadata), Location: info.Location,
		Partial: tus.IsPartial(info.Metadata), Owner: auth.OwnerOf(info.Metadata),
	}
	if info.Length != store.UnknownLength {
		u.Length = &info.Length
	}
	// What only the server sets is not for others.
	maps.DeleteFunc(u.Metadata, func(key, _ string) bool { return strings.Contains(key, " ") })
	if u.Metadata == nil {
		u.Metadata = make(map[string]string)
	}
	return u
}

// recorded are the events that an outbox keeps, in the order of delivery. Each
// comes once for an upload.
func recorded() []Event { return []Event{PostCreate, PostFinish, PostTerminate} }

// deliveryID is always the same for what comes once for an upload, so there is
// none that a crash could make twice.
func deliveryID(event Event, upload string) string {
	if upload == "" || !slices.Contains(recorded(), event) {
		var b [16]byte
		rand.Read(b[:])
		return hex.EncodeToString(b[:])
	}
	sum := sha256.Sum256([]byte(string(event) + "\x00" + upload))
	return hex.EncodeToString(sum[:16])
}

func (m Message) encode() []byte {
	body, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings, numbers and a time of this century: can't be
	}
	return body
}
