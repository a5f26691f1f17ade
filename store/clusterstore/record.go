package clusterstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/internal/uploadid"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// A record is a state as it lies in the bucket.
type record struct {
	state *state
	etag  string
	bytes int64 // in JSON
}

// smallStateBytes is what reading a state is charged for at first.
const smallStateBytes = 8 << 10

// load reads the state of an upload, finished or not. It waits for the memory, so who
// holds some that others wait for can't call it: see loadWithin.
func (s *Store) load(ctx context.Context, id string) (record, error) {
	return s.loadBy(ctx, id, s.read)
}

// loadWithin is load in memory that the caller has, for a state of room bytes and for
// the request. One that is larger counts as trouble that passes.
func (s *Store) loadWithin(ctx context.Context, id string, room int64) (record, error) {
	return s.loadBy(ctx, id, func(ctx context.Context, key string) (record, error) {
		rec, size, err := s.tryRead(ctx, key, room)
		if err == nil && size > room {
			err = store.Transient(fmt.Errorf("its state has grown to %d bytes", size))
		}
		return rec, err
	})
}

func (s *Store) loadBy(ctx context.Context, id string, read func(ctx context.Context, key string) (record, error)) (record, error) {
	if err := ctx.Err(); err != nil {
		return record{}, err
	}
	if !uploadid.Valid(id) {
		return record{}, fmt.Errorf("%w: %.40q is no id", store.ErrNotFound, id)
	}
	rec, err := read(ctx, s.uploadKey(id))
	if isAbsent(err) {
		rec, err = read(ctx, s.finishedKey(id))
	}
	switch {
	case err != nil:
		return record{}, err
	case rec.state.Aborted:
		return rec, fmt.Errorf("%w: it was aborted", store.ErrNotFound)
	}
	return rec, nil
}

// loadNow is load that doesn't wait for memory: without any it is memory.ErrFull.
func (s *Store) loadNow(ctx context.Context, id string) (record, error) {
	return s.loadBy(ctx, id, func(ctx context.Context, key string) (record, error) {
		return s.readCharged(ctx, key, func(room int64) (memory.Reservation, error) {
			return s.mem.TryReserve(memory.KindConnection, bucket.GetBytes, stateCost*room)
		})
	})
}

// read reads one state, and charges for it while it does.
func (s *Store) read(ctx context.Context, key string) (record, error) {
	return s.readCharged(ctx, key, func(room int64) (memory.Reservation, error) { return s.reserveGet(ctx, room) })
}

func (s *Store) readCharged(ctx context.Context, key string, reserve func(room int64) (memory.Reservation, error)) (record, error) {
	for room := int64(smallStateBytes); ; {
		charge, err := reserve(room)
		if err != nil {
			return record{}, err
		}
		rec, size, err := s.tryRead(ctx, key, room)
		err = errors.Join(err, charge.Release())
		if err != nil || size <= room {
			return rec, err
		}
		room = size
	}
}

// tryRead reads nothing where there is more than room for.
func (s *Store) tryRead(ctx context.Context, key string, room int64) (rec record, size int64, err error) {
	r, o, err := s.bucket.Get(ctx, key, 0, -1)
	if err != nil {
		return record{}, 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	switch {
	case o.Size > maxStateBytes:
		return record{}, 0, fmt.Errorf("its state has %d bytes", o.Size)
	case o.Size > room:
		return record{}, o.Size, nil
	}
	text, err := io.ReadAll(io.LimitReader(r, o.Size))
	if err != nil {
		return record{}, 0, err
	}
	st, err := decodeState(text)
	return record{st, o.ETag, o.Size}, o.Size, err
}

// attempts are made of a write of a state, as its outcome must be known.
const attempts = 4

// write replaces a state under its precondition. Where the answer is lost it asks
// again: it is store.ErrSuperseded if it was somebody else who wrote, and a
// *store.TransientError if that can't be found out.
func (s *Store) write(ctx context.Context, key string, st *state, when bucket.Precondition) (record, error) {
	if err := ctx.Err(); err != nil {
		return record{}, err
	}
	ctx = context.WithoutCancel(ctx)
	text, err := st.encode(s.node)
	if err != nil {
		return record{}, fmt.Errorf("encode state: %w", err)
	}
	object := bucket.Object{Key: key, Size: int64(len(text)), Sum: store.Sum{CRC32C: checksum.Update(0, text), Known: true}}
	sent := false // maybe, by an attempt whose answer was lost
	for try := 1; ; try++ {
		err := s.bucket.PutPiece(ctx, &object, bytes.NewReader(text), when)
		if err == nil {
			return record{st, object.ETag, int64(len(text))}, nil
		}
		switch {
		case errors.Is(err, store.ErrExists), isAbsent(err):
			there, size, readErr := s.tryRead(ctx, key, int64(len(text)))
			switch {
			case readErr == nil && size <= int64(len(text)) && there.state.Revision == st.Revision:
				return there, nil
			case readErr == nil && when == bucket.Absent:
				return record{}, store.ErrTaken
			case readErr == nil:
				return record{}, store.ErrSuperseded
			case isAbsent(readErr), !sent:
				return record{}, readErr // it was refused, whatever is there
			}
			err = readErr
		case !isUnsure(err) && !sent:
			return record{}, err
		default:
			sent = true
		}
		if try == attempts {
			return record{}, store.Transient(fmt.Errorf("write the state: %w", err))
		}
		if err := pause(ctx, try); err != nil {
			return record{}, err
		}
	}
}

// pause waits longer after each attempt: 0.1 to 0.2 s, 0.2 to 0.4 s, and so on.
func pause(ctx context.Context, try int) error {
	base := 50 * time.Millisecond << try
	select {
	case <-time.After(base + rand.N(base)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
