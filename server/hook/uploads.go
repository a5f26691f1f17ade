package hook

import (
	"context"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// uploads asks before an upload is created, and tells how bytes come.
type uploads struct {
	protocol.Uploads
	hooks *Hooks
}

// Uploads returns next with hooks before it. What comes later in the life of an
// upload is told by the methods of Hooks that take a store.Info.
func (h *Hooks) Uploads(next protocol.Uploads) protocol.Uploads { return uploads{next, h} }

// Create implements protocol.Uploads.
func (u uploads) Create(ctx context.Context, spec store.Spec) (store.Info, error) {
	spec, err := u.hooks.creating(ctx, spec)
	if err != nil {
		return store.Info{}, err
	}
	return u.Uploads.Create(ctx, spec)
}

// Concatenate implements protocol.Uploads.
func (u uploads) Concatenate(ctx context.Context, spec store.Spec, ids []string) (store.Info, error) {
	spec, err := u.hooks.creating(ctx, spec)
	if err != nil {
		return store.Info{}, err
	}
	return u.Uploads.Concatenate(ctx, spec, ids)
}

// Append implements protocol.Uploads.
func (u uploads) Append(ctx context.Context, id string, chunk protocol.Chunk) (store.Info, error) {
	info, err := u.Uploads.Append(ctx, id, u.hooks.watched(ctx, id, chunk))
	u.hooks.received(ctx, info)
	return info, err
}

// creating asks all hooks in turn, each with the changes of those before.
func (h *Hooks) creating(ctx context.Context, spec store.Spec) (store.Spec, error) {
	if !h.wanted[PreCreate] {
		return spec, nil
	}
	for _, c := range h.callers {
		m := newMessage(ctx, PreCreate, store.Info{Name: spec.Name, Length: spec.Length, Metadata: spec.Metadata})
		reply, err := c.ask(ctx, m)
		if err != nil {
			return store.Spec{}, err
		}
		if err := reply.apply(&spec); err != nil {
			c.opts.Logger.Warn("hook gives no answer", "hook", c.target.String(), "event", PreCreate, "error", err)
			return store.Spec{}, errUnanswered
		}
	}
	return spec, nil
}

// Created records that an upload is there.
func (h *Hooks) Created(ctx context.Context, info store.Info) { h.record(ctx, PostCreate, info) }

// Finishing asks whether an upload that has all its bytes may be finished. A
// *protocol.Refusal says no; after any other error ask again later.
func (h *Hooks) Finishing(ctx context.Context, info store.Info) error {
	if h.wanted[PreFinish] {
		for _, c := range h.callers {
			if _, err := c.ask(ctx, newMessage(ctx, PreFinish, info)); err != nil {
				return err
			}
		}
	}
	if !h.wanted[PostFinish] {
		return nil
	}
	// Should the process die after Finish, the next one finds this and looks.
	m := newMessage(ctx, PostFinish, info)
	for _, box := range h.outboxes {
		if err := box.intend(m); err != nil {
			box.trouble("record what is to be told", err)
			return errUnanswered
		}
	}
	return nil
}

// Finished records that an upload is finished.
func (h *Hooks) Finished(ctx context.Context, info store.Info) {
	if h.progress != nil {
		h.progress.forget(info.ID)
	}
	if !h.wanted[PostFinish] {
		return
	}
	m := newMessage(ctx, PostFinish, info)
	for _, box := range h.outboxes {
		if err := box.fulfil(m); err != nil {
			box.trouble("record that an upload is finished: the next start does", err)
		}
	}
}

// Discarding records that an upload is about to go. Where that fails it goes all
// the same: who discards may want room on a full disk.
func (h *Hooks) Discarding(ctx context.Context, info store.Info) {
	if !h.wanted[PostTerminate] {
		return
	}
	m := newMessage(ctx, PostTerminate, info)
	for _, box := range h.outboxes {
		if err := box.intend(m); err != nil {
			box.trouble("record that an upload is about to go", err)
		}
	}
}

// Discarded records that an upload is gone.
func (h *Hooks) Discarded(ctx context.Context, info store.Info) {
	if h.progress != nil {
		h.progress.forget(info.ID)
	}
	m := newMessage(ctx, PostTerminate, info)
	for _, box := range h.outboxes {
		if err := box.forget(info.ID, PostFinish); err != nil {
			box.trouble("forget an upload", err)
		}
		if !h.wanted[PostTerminate] {
			continue
		}
		if err := box.fulfil(m); err != nil {
			box.trouble("record that an upload is gone: the next start does", err)
		}
	}
}

func (h *Hooks) record(ctx context.Context, event Event, info store.Info) {
	if !h.wanted[event] {
		return
	}
	m := newMessage(ctx, event, info)
	for _, box := range h.outboxes {
		if err := box.put(m); err != nil {
			h.counts.add(event, Failed, 1)
			box.trouble("record what is to be told", err)
		}
	}
}
