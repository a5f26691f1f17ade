package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

const (
	maxReplyBytes  = 64 << 10
	maxReasonBytes = 1 << 10
	maxCodeBytes   = 40
)

// A Reply is what a hook answers when it is asked, as JSON. An empty answer is
// the zero Reply: go on. What isn't known here is an error, so that a refusal
// with a slip of the pen doesn't let an upload through.
type Reply struct {
	Refuse *Refuse `json:"refuse,omitempty"`
	// Name replaces the name and the metadata "filename"; PreCreate only.
	Name *string `json:"name,omitempty"`
	// Metadata sets these keys and removes those that are null, and leaves all
	// others; PreCreate only.
	Metadata map[string]*string `json:"metadata,omitempty"`
}

// A Refuse is the answer that the client gets.
type Refuse struct {
	Status int `json:"status"` // 400 to 599; default 403
	// Code is for programs: upper-case letters, digits and underscores. Default
	// INVALID_FILE.
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"` // for a person, 1 KiB at most
}

func parseReply(event Event, body []byte) (Reply, error) {
	var r Reply
	if len(bytes.TrimSpace(body)) == 0 {
		return r, nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Reply{}, fmt.Errorf("its reply: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Reply{}, errors.New("its reply goes on behind the JSON object")
	}
	if event != PreCreate && (r.Name != nil || r.Metadata != nil) {
		return Reply{}, fmt.Errorf("its reply to %s changes the upload, which only one to %s can", event, PreCreate)
	}
	if r.Refuse != nil {
		return r, r.Refuse.check()
	}
	return r, nil
}

func (r *Refuse) check() error {
	if r.Status == 0 {
		r.Status = http.StatusForbidden
	}
	if r.Status < 400 || r.Status > 599 {
		return fmt.Errorf("its reply refuses with status %d: want 400 to 599", r.Status)
	}
	if r.Code == "" {
		r.Code = protocol.CodeFile
	}
	if len(r.Code) > maxCodeBytes || strings.Trim(r.Code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != "" {
		return fmt.Errorf("its reply refuses with code %.60q: want upper-case letters, digits and _", r.Code)
	}
	return nil
}

// refusal is what the client gets to see: text that is one line, whatever the
// hook said.
func (r *Refuse) refusal() *protocol.Refusal {
	text := r.Message
	if len(text) > maxReasonBytes {
		text = text[:maxReasonBytes]
	}
	text = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, ""))
	if text == "" {
		text = "the upload was refused"
	}
	return &protocol.Refusal{Status: r.Status, Code: r.Code, Detail: text}
}

// apply changes spec, whose metadata it doesn't write to.
func (r *Reply) apply(spec *store.Spec) error {
	changes := r.Metadata
	if r.Name != nil {
		changes = map[string]*string{store.MetadataFilename: r.Name}
		for key, value := range r.Metadata {
			if key != store.MetadataFilename {
				changes[key] = value
			}
		}
	}
	if len(changes) == 0 {
		return nil
	}
	metadata, err := tus.ChangeMetadata(spec.Metadata, changes)
	if err != nil {
		return fmt.Errorf("its reply: %w", err)
	}
	spec.Metadata = metadata
	if _, named := changes[store.MetadataFilename]; named {
		spec.Name = metadata[store.MetadataFilename]
	}
	return nil
}
