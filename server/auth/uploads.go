package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// metadataOwner keeps whom an upload belongs to. No client can set or see it:
// the key has a space.
const metadataOwner = "streamflow owner"

// OwnerOf returns whom an upload with that metadata belongs to; empty is nobody.
func OwnerOf(metadata map[string]string) string { return metadata[metadataOwner] }

// A Stater looks at an upload without disturbing a request for it: a store.Store.
type Stater interface {
	Stat(ctx context.Context, id string) (store.Info, error)
}

// Uploads has every request do what its identity may, with uploads of the same
// owner: to everybody else they are not there.
type Uploads struct {
	next   protocol.Uploads
	rights rights
}

// NewUploads returns next for those who may. look finds what next keeps.
func NewUploads(next protocol.Uploads, look Stater) *Uploads { return &Uploads{next, rights{look}} }

// Create implements [protocol.Uploads], with the scope create.
func (u *Uploads) Create(ctx context.Context, spec store.Spec) (store.Info, error) {
	if grant := callerFrom(ctx).grant; grant != nil {
		return u.createGranted(ctx, grant, spec)
	}
	if err := Allow(ctx, Create); err != nil {
		return store.Info{}, err
	}
	return u.next.Create(ctx, owned(ctx, spec))
}

// createGranted begins the one upload of a grant. A client that didn't hear of it
// asks again: as long as no byte came, that is the same beginning.
func (u *Uploads) createGranted(ctx context.Context, grant *Grant, spec store.Spec) (store.Info, error) {
	if err := grant.admit(spec, time.Now()); err != nil {
		return store.Info{}, err
	}
	spec.ID = grant.id
	info, err := u.next.Create(ctx, owned(ctx, spec))
	if !errors.Is(err, store.ErrTaken) {
		return info, err
	}
	info, err = u.rights.look.Stat(ctx, grant.id)
	if err == nil && (info.Complete || info.Offset > 0 || info.Length != spec.Length) {
		err = errGrantUsed
	}
	if err != nil {
		return store.Info{}, fmt.Errorf("begin the upload of a grant: %w", err)
	}
	return info, nil
}

var errGrantUsed = &protocol.Refusal{
	Status: http.StatusConflict,
	Code:   protocol.CodeGrantUsed,
	Detail: "this URL is for one upload, which has begun: go on with that one, or ask for another URL",
	Err:    store.ErrTaken,
}

// errGrantFinished keeps a grant used: what is finished is the application's.
var errGrantFinished = &protocol.Refusal{
	Status: http.StatusForbidden,
	Code:   protocol.CodeDenied,
	Detail: "a finished upload isn't discarded by the URL it was made with",
	Err:    store.ErrDenied,
}

// Concatenate implements [protocol.Uploads], with the scope create.
func (u *Uploads) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Info, error) {
	if err := Allow(ctx, Create); err != nil {
		return store.Info{}, err
	}
	for _, id := range ids {
		switch err := u.rights.find(ctx, id); {
		case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
			return store.Info{}, fmt.Errorf("%w: %.40q is no partial upload", store.ErrInvalid, id) // as next says it
		case err != nil:
			return store.Info{}, err
		}
	}
	return u.next.Concatenate(ctx, owned(ctx, spec), ids)
}

// owned returns spec of an upload that belongs to who makes the request.
func owned(ctx context.Context, spec store.Spec) store.Spec {
	owner := FromContext(ctx).Owner
	if owner == "" {
		return spec
	}
	metadata := maps.Clone(spec.Metadata)
	if metadata == nil {
		metadata = make(map[string]string)
	}
	metadata[metadataOwner] = owner
	spec.Metadata = metadata
	return spec
}

// Info implements [protocol.Uploads], with the scope append or read.
func (u *Uploads) Info(ctx context.Context, id string) (store.Info, error) {
	if err := u.rights.allow(ctx, id, Append, Read); err != nil {
		return store.Info{}, err
	}
	return u.next.Info(ctx, id)
}

// Append implements [protocol.Uploads], with the scope append.
func (u *Uploads) Append(ctx context.Context, id string, chunk protocol.Chunk) (store.Info, error) {
	if err := u.rights.allow(ctx, id, Append); err != nil {
		return store.Info{}, err
	}
	return u.next.Append(ctx, id, chunk)
}

// Terminate implements [protocol.Uploads], with the scope delete. What a request
// itself began it may take back without.
func (u *Uploads) Terminate(ctx context.Context, id string) error {
	grant := callerFrom(ctx).grant
	_, withdraws := protocol.Withdraws(ctx)
	switch {
	case withdraws:
	case grant != nil:
		if grant.id != id {
			return store.ErrNotFound
		}
		ctx = protocol.Sparing(ctx, errGrantFinished)
	default:
		if err := u.rights.allow(ctx, id, Delete); err != nil {
			return err
		}
	}
	return u.next.Terminate(ctx, id)
}

// A Reader gives back uploads to those of the same owner who have the scope read.
type Reader struct {
	next   store.Reader
	rights rights
}

// NewReader returns next for those who may. look finds what next reads.
func NewReader(next store.Reader, look Stater) *Reader { return &Reader{next, rights{look}} }

// OpenReader implements [store.Reader].
func (r *Reader) OpenReader(ctx context.Context, id string) (io.ReadSeekCloser, store.Info, error) {
	if err := r.rights.allow(ctx, id, Read); err != nil {
		return nil, store.Info{}, err
	}
	return r.next.OpenReader(ctx, id)
}

// rights to single uploads.
type rights struct{ look Stater }

// allow checks scope and owner. Without the scope nothing is looked up.
func (r rights) allow(ctx context.Context, id string, oneOf ...Scopes) error {
	if grant := callerFrom(ctx).grant; grant != nil && slices.Contains(oneOf, Append) {
		if grant.id != id {
			return store.ErrNotFound
		}
		return nil
	}
	if err := Allow(ctx, oneOf...); err != nil {
		return err
	}
	return r.find(ctx, id)
}

// find returns nil if there is that upload for who makes the request. It asks
// the store, and not next, which would end the request under way before it is
// known whether this one may.
func (r rights) find(ctx context.Context, id string) error {
	info, err := r.look.Stat(ctx, id)
	if err != nil {
		return fmt.Errorf("look up upload: %w", err)
	}
	if who := FromContext(ctx); !who.Scopes.Has(Admin) && OwnerOf(info.Metadata) != who.Owner {
		return store.ErrNotFound
	}
	return nil
}
