package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server/hook"
	"github.com/streamflow/streamflow/store"
)

// A lifecycle is what parts of the server have to say about an upload, or hear
// of it, on every way that an upload may take. New fills it, and it doesn't
// change afterwards. The functions are called one after the other and may take
// their time: they hold no more than the turn of that upload.
type lifecycle struct {
	// created: the upload is there, and nobody was told.
	created []func(context.Context, store.Info)
	// finishing: every byte is there, and Finish comes next. A
	// *protocol.Refusal discards the upload and is the answer. Any other error
	// puts Finish off: the upload stays, and its next request tries again.
	finishing []func(context.Context, store.Info) error
	// finished: Finish has succeeded.
	finished []func(context.Context, store.Info)
	// discarding: the upload is about to go: by request, refused, or expired.
	discarding []func(context.Context, store.Info)
	// discarded: it is gone.
	discarded []func(context.Context, store.Info)
}

// toldTo adds hooks to all lists.
func (l *lifecycle) toldTo(hooks *hook.Hooks) {
	l.created = append(l.created, hooks.Created)
	l.finishing = append(l.finishing, hooks.Finishing)
	l.finished = append(l.finished, hooks.Finished)
	l.discarding = append(l.discarding, hooks.Discarding)
	l.discarded = append(l.discarded, hooks.Discarded)
}

// begun tells of a new upload and settles it. Where that fails the upload goes,
// as its client never hears of it.
func (s *Server) begun(ctx context.Context, up store.Upload, info store.Info) (store.Info, error) {
	s.tell(ctx, s.lifecycle.created, info)
	settled, err := s.settle(ctx, up, info)
	if err != nil && settled.ID != "" {
		s.refuse(ctx, up, info)
	}
	return settled, err
}

// settle finishes an upload that has all its bytes, and says where it stands.
// Beside an error that is where its client should believe it to stand, or an
// Info without an ID where the upload is gone.
func (s *Server) settle(ctx context.Context, up store.Upload, info store.Info) (store.Info, error) {
	if !whole(info) {
		return info, nil
	}
	return s.complete(ctx, up, info, nil)
}

// complete finishes an upload whose last byte is there, as settle does. Its
// bytes have been through computed, or not all of them.
func (s *Server) complete(ctx context.Context, up store.Upload, info store.Info, computed *protocol.Digester) (store.Info, error) {
	// Nobody gains from ending it now: the bytes are all here.
	ctx = context.WithoutCancel(ctx)
	check := func(ctx context.Context, info store.Info) error { return s.checkDigests(ctx, info, computed) }
	for _, step := range append([]func(context.Context, store.Info) error{check}, s.lifecycle.finishing...) {
		err := step(ctx, info)
		if refusal := (*protocol.Refusal)(nil); errors.As(err, &refusal) {
			s.refuse(ctx, up, info)
			return store.Info{}, err
		}
		if err != nil {
			return unsettled(info), err
		}
	}
	// The store has its own sum: what was written is what it checks.
	done, err := up.Finish(ctx, store.Sum{})
	if err != nil {
		return unsettled(info), fmt.Errorf("finish upload: %w", err)
	}
	s.tell(ctx, s.lifecycle.finished, done)
	return done, nil
}

// whole: every byte is there, and Finish is still to come. A partial upload is
// never finished: the directory of a server has what users uploaded, not pieces.
// An explicit one waits for its client's word.
func whole(info store.Info) bool {
	return !info.Complete && info.Offset == info.Length &&
		!tus.IsPartial(info.Metadata) && !protocol.IsExplicit(info.Metadata)
}

// unsettled keeps the last byte back: a client that hears of all of them takes
// the upload for finished. That of an explicit one is told so besides.
func unsettled(info store.Info) store.Info {
	if !protocol.IsExplicit(info.Metadata) {
		info.Offset = max(0, info.Offset-1)
	}
	return info
}

// stands reports whether an upload is where a request left it, maybe unsettled.
func stands(info store.Info, left int64) bool {
	return !info.Complete && (info.Offset == left || whole(info) && unsettled(info).Offset == left)
}

// discard removes an upload.
func (s *Server) discard(ctx context.Context, up store.Upload, info store.Info) error {
	ctx = context.WithoutCancel(ctx)
	s.tell(ctx, s.lifecycle.discarding, info)
	if err := up.Abort(ctx); err != nil {
		return err
	}
	s.tell(ctx, s.lifecycle.discarded, info)
	return nil
}

// refuse discards an upload whose client gets another error to hear.
func (s *Server) refuse(ctx context.Context, up store.Upload, info store.Info) {
	if err := s.discard(ctx, up, info); err != nil {
		s.opts.Logger.Error("a refused upload stays", "upload", info.ID, "error", err)
	}
}

func (s *Server) tell(ctx context.Context, listeners []func(context.Context, store.Info), info store.Info) {
	for _, listener := range listeners {
		listener(ctx, info)
	}
}
