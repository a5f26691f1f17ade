package streamflow

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/store"
)

// An Unfinished is an upload of a file that the journal knows, and that would go
// on if the file were uploaded again under the same name.
type Unfinished struct {
	Path string // of the file
	// Info is where it stands at the destination. Only ID is known where Err says
	// why: [ErrBusy] while it is under way, store.ErrNotFound where it is gone.
	Info store.Info
	Err  error
}

// Unfinished yields the uploads to this destination that the journal knows, in
// no order. Without a journal there are none. It asks the destination for each,
// but leaves alone what is under way. An error ends the walk.
func (m *Manager) Unfinished(ctx context.Context) iter.Seq2[Unfinished, error] {
	return func(yield func(Unfinished, error) bool) {
		if m.journal == nil {
			return
		}
		for r, err := range m.journal.Records(m.opts.Destination) {
			if err == nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(Unfinished{}, err)
				return
			}
			if u, ok := m.unfinished(ctx, r); ok && !yield(u, nil) {
				return
			}
		}
	}
}

// unfinished looks at an upload, or returns false if it has ended meanwhile.
func (m *Manager) unfinished(ctx context.Context, r journal.Record) (Unfinished, bool) {
	u := Unfinished{Path: r.Source.Path, Info: store.Info{ID: r.UploadID}}
	entry, err := m.takeRecord(r)
	if err != nil {
		u.Err = err
		return u, !errors.Is(err, store.ErrNotFound)
	}
	info, err := m.dst.Stat(ctx, r.UploadID)
	if err = errors.Join(err, entry.Close()); err != nil {
		u.Err = err
	} else {
		u.Info = info
	}
	return u, true
}

// takeRecord locks the entry of r. It is store.ErrNotFound where the journal
// doesn't know that upload any more.
func (m *Manager) takeRecord(r journal.Record) (*journal.Entry, error) {
	entry, err := m.journal.Take(r.Key())
	if err != nil {
		return nil, err
	}
	now, found, err := entry.Load()
	if err == nil && (!found || now.UploadID != r.UploadID) {
		err = fmt.Errorf("upload of %s: %w", r.Source.Path, store.ErrNotFound)
	}
	if err != nil {
		return nil, errors.Join(err, entry.Close())
	}
	return entry, nil
}

// Discard removes an unfinished upload from the destination, and from the
// journal where that knows it. It is [ErrBusy] while the upload is under way
// in a process that shares the journal, and store.ErrNotFound where nobody
// knows it. What is finished stays: that is [ErrFinished], and the journal
// forgets it.
func (m *Manager) Discard(ctx context.Context, id string) (err error) {
	entry, err := m.entryOf(id)
	if err != nil {
		return fmt.Errorf("discard upload: %w", err)
	}
	if entry != nil {
		defer func() { err = errors.Join(err, entry.Close()) }()
	}
	err = m.abort(ctx, id)
	ended := err == nil || isGone(err) || errors.Is(err, ErrFinished)
	if entry != nil && ended {
		if isGone(err) {
			err = nil // that is what was wanted
		}
		err = errors.Join(err, entry.Remove())
	}
	if err != nil {
		return fmt.Errorf("discard upload: %w", err)
	}
	return nil
}

// entryOf locks the entry of an upload, or returns nil where there is none.
func (m *Manager) entryOf(id string) (*journal.Entry, error) {
	if m.journal == nil {
		return nil, nil
	}
	for r, err := range m.journal.Records(m.opts.Destination) {
		if err != nil {
			return nil, err
		}
		if r.UploadID != id {
			continue
		}
		entry, err := m.takeRecord(r)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		return entry, err
	}
	return nil, nil
}

// abort refuses to remove what is finished: the journal may not have heard.
func (m *Manager) abort(ctx context.Context, id string) error {
	info, err := m.dst.Stat(ctx, id)
	if err != nil {
		return err
	}
	if info.Complete {
		return ErrFinished
	}
	up, _, err := m.dst.Open(ctx, id)
	if err != nil {
		return err
	}
	return up.Abort(ctx)
}
