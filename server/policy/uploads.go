package policy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// checkedUploads refuses files that may not be uploaded.
type checkedUploads struct {
	protocol.Uploads
	policy *Policy
}

// Create implements protocol.Uploads. A part of a file is no file: what it will
// be part of is checked.
func (u *checkedUploads) Create(ctx context.Context, spec store.Spec) (store.Info, error) {
	if !tus.IsPartial(spec.Metadata) {
		if err := u.policy.checkDeclared(spec); err != nil {
			return store.Info{}, err
		}
	}
	return u.Uploads.Create(ctx, spec)
}

// Concatenate implements protocol.Uploads.
func (u *checkedUploads) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Info, error) {
	if err := u.policy.checkDeclared(spec); err != nil {
		return store.Info{}, err
	}
	return u.Uploads.Concatenate(ctx, spec, ids)
}

// Append implements protocol.Uploads. It looks at the first bytes while they
// come; where a chunk has too few of them, BeforeFinish does.
func (u *checkedUploads) Append(ctx context.Context, id string, c protocol.Chunk) (store.Info, error) {
	if c.Offset != 0 || c.Size == 0 || !u.policy.opts.checksSignatures() {
		return u.Uploads.Append(ctx, id, c)
	}
	before, err := u.policy.store.Stat(ctx, id)
	if err != nil || before.Offset != 0 || tus.IsPartial(before.Metadata) {
		return u.Uploads.Append(ctx, id, c) // which says what is wrong
	}
	body := &checkedBody{Body: c.Body, declared: before.Metadata[store.MetadataFiletype]}
	c.Body = body
	info, err := u.Uploads.Append(ctx, id, c)
	if err == nil || body.refusal == nil || protocol.Overtaken(err) {
		return info, err
	}
	if err := u.Terminate(protocol.Withdrawing(ctx, info.Offset), id); err != nil && !errors.Is(err, store.ErrNotFound) {
		return info, fmt.Errorf("discard a refused upload: %w", err)
	}
	return store.Info{}, body.refusal
}

// A checkedBody passes no byte on that shows the file to be of another type
// than the declared one.
type checkedBody struct {
	protocol.Body
	declared string
	head     []byte // what has come, up to headBytes, and then nothing
	checked  bool
	refusal  error
}

// Read implements io.Reader.
func (b *checkedBody) Read(p []byte) (int, error) {
	if b.refusal != nil {
		return 0, b.refusal
	}
	n, err := b.Body.Read(p)
	if b.checked {
		return n, err
	}
	b.head = append(b.head, p[:min(n, headBytes-len(b.head))]...)
	if len(b.head) == headBytes {
		b.refusal, b.checked, b.head = refusalOf(b.declared, b.head), true, nil // thousands may wait
		if b.refusal != nil {
			return 0, b.refusal
		}
	}
	return n, err
}

// BeforeFinish refuses an upload whose first bytes contradict its declared type:
// they may have come in any number of chunks, or from other uploads.
func (p *Policy) BeforeFinish(ctx context.Context, info store.Info) error {
	if !p.opts.checksSignatures() {
		return nil
	}
	r, _, err := p.reader.OpenReader(ctx, info.ID)
	if err != nil {
		return fmt.Errorf("check the contents: %w", err)
	}
	head := make([]byte, min(info.Length, headBytes))
	_, err = io.ReadFull(r, head)
	if err = errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("check the contents: %w", err)
	}
	return refusalOf(info.Metadata[store.MetadataFiletype], head)
}

// checkDeclared looks at what a client says of a file.
func (p *Policy) checkDeclared(spec store.Spec) error {
	if p.opts.checksSignatures() {
		if err := p.checkType(spec.Metadata[store.MetadataFiletype]); err != nil {
			return err
		}
	}
	if len(p.opts.Extensions) == 0 {
		return nil
	}
	allowed := enumerate(p.opts.Extensions)
	switch name := spec.Metadata[store.MetadataFilename]; {
	case name == "":
		return refuseFile(http.StatusBadRequest, "the file has no name: send one as filename, ending in one of "+allowed)
	case !slices.ContainsFunc(p.opts.Extensions, func(e Extension) bool { return e.Matches(name) }):
		return refuseFile(http.StatusUnsupportedMediaType, "the file's name must end in one of "+allowed)
	}
	return nil
}

func (p *Policy) checkType(declared string) error {
	allowed := enumerate(p.opts.Types)
	if allowed == "" {
		allowed = "any type such as image/png"
	}
	t, ok := mediaType(declared)
	switch {
	case declared == "":
		return refuseFile(http.StatusBadRequest, "the file has no type: send its media type as filetype; allowed is "+allowed)
	case !ok:
		return refuseFile(http.StatusBadRequest, fmt.Sprintf("%.100q is no media type: send one as filetype; allowed is %s", declared, allowed))
	case len(p.opts.Types) > 0 && !slices.ContainsFunc(p.opts.Types, func(a TypePattern) bool { return a.Matches(t) }):
		return refuseFile(http.StatusUnsupportedMediaType, fmt.Sprintf("files of type %.100s are not taken here; allowed is %s", t, allowed))
	}
	return nil
}

// refusalOf returns why a file with that head isn't of the declared type, or nil.
func refusalOf(declared string, head []byte) error {
	t, ok := mediaType(declared)
	if !ok { // from before types were asked for
		t = octets
	}
	found := contradicts(t, head)
	if found == "" {
		return nil
	}
	return refuseFile(http.StatusUnsupportedMediaType, fmt.Sprintf("the file is declared as %.100s, but its first bytes are of %s", t, found))
}

func refuseFile(status int, detail string) error {
	return &protocol.Refusal{Status: status, Code: protocol.CodeFile, Detail: detail}
}

// enumerate joins what is allowed for a sentence.
func enumerate[T ~string](items []T) string {
	words := make([]string, len(items))
	for i, item := range items {
		words[i] = string(item)
	}
	return strings.Join(words, ", ")
}
