package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// uploads is the server as protocols see it: protocol.Uploads over a store.
type uploads struct{ s *Server }

func (u uploads) Create(ctx context.Context, spec store.Spec) (store.Info, error) {
	if err := u.s.admitUpload(); err != nil {
		return store.Info{}, err
	}
	spec.Readable = u.s.readsUnfinished(spec)
	if u.s.store.Limits().ContentCoding {
		spec.ContentCoding = protocol.ContentCoding(spec.Metadata)
	}
	up, info, err := u.s.store.Create(ctx, spec)
	if err != nil {
		return store.Info{}, fmt.Errorf("create upload: %w", err)
	}
	return u.s.begun(ctx, up, info)
}

func (u uploads) Info(ctx context.Context, id string) (store.Info, error) {
	t, done, err := u.s.begin(ctx, id, nil)
	if err != nil {
		return store.Info{}, err
	}
	defer done()
	info, err := u.s.store.Stat(t.ctx, id)
	if err != nil {
		return store.Info{}, fmt.Errorf("look up upload: %w", err)
	}
	if u.s.expired(info) {
		return store.Info{}, store.ErrGone
	}
	if !whole(info) {
		return info, nil
	}
	// Finish was put off, or the process died before it. A client that hears the
	// final offset sends nothing more, so it is finished here.
	up, info, err := u.s.store.Open(t.ctx, id)
	if err != nil {
		err = fmt.Errorf("open upload: %w", err)
	} else {
		info, err = u.s.settle(t.ctx, up, info)
	}
	if errors.Is(err, store.ErrSuperseded) {
		// At another node, which is no reason for a client to begin anew.
		err = store.Transient(errors.New("another request has the upload: ask again"))
	}
	return info, err
}

func (u uploads) Append(ctx context.Context, id string, c protocol.Chunk) (store.Info, error) {
	t, done, err := u.s.begin(ctx, id, c.Body)
	if err != nil {
		return store.Info{}, err
	}
	defer done()
	d := &delivery{s: u.s, turn: t, chunk: c}
	defer func() { d.ending.leave() }()
	err = d.run(id)
	return d.info, t.reason(err)
}

func (u uploads) Terminate(ctx context.Context, id string) error {
	t, done, err := u.s.begin(ctx, id, nil)
	if err != nil {
		return err
	}
	defer done()
	up, info, err := u.s.open(t.ctx, id)
	if err != nil {
		return err
	}
	if refusal := protocol.Spares(ctx); refusal != nil && info.Complete {
		return refusal
	}
	if left, ok := protocol.Withdraws(ctx); ok && !stands(info, left) {
		return nil
	}
	if err := u.s.discard(t.ctx, up, info); err != nil {
		return fmt.Errorf("terminate upload: %w", err)
	}
	return nil
}

// readsUnfinished says whether the server itself must read an upload before it is
// finished: for a digest that its client gave, for its type, or to concatenate it.
func (s *Server) readsUnfinished(spec store.Spec) bool {
	return s.policy.ReadsContents() || tus.IsPartial(spec.Metadata) || len(protocol.WholeDigests(spec.Metadata)) > 0
}

// open takes over an upload that hasn't expired.
func (s *Server) open(ctx context.Context, id string) (store.Upload, store.Info, error) {
	up, info, err := s.store.Open(ctx, id)
	if err != nil {
		return nil, store.Info{}, fmt.Errorf("open upload: %w", err)
	}
	if s.expired(info) {
		return nil, store.Info{}, store.ErrGone
	}
	return up, info, nil
}
