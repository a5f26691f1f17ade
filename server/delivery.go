package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// errFinal is the answer of tus to bytes for what was put together from parts.
var errFinal = &protocol.Refusal{
	Status: http.StatusForbidden,
	Code:   protocol.CodeDenied,
	Detail: "a final upload takes no bytes",
	Err:    store.ErrDenied,
}

// A delivery is a chunk on its way into its upload. It is a struct, and what
// comes before and after the body has methods of its own, so that little is on
// the stack while the body waits: thousands may.
type delivery struct {
	s      *Server
	turn   *turn
	chunk  protocol.Chunk
	up     store.Upload
	ending *ending    // of the body, or nil
	info   store.Info // where the upload stands, or without an ID if that isn't known
}

func (d *delivery) run(id string) error {
	if err := d.open(id); err != nil {
		return err
	}
	length, err := d.admit()
	if err != nil {
		return err
	}
	if d.chunk.Progress != nil {
		d.chunk.Progress(d.info.Offset)
	}
	if err := d.write(length); err != nil {
		return err
	}
	return d.settle()
}

func (d *delivery) open(id string) (err error) {
	d.up, d.info, err = d.s.open(d.turn.ctx, id)
	if err != nil {
		d.info = store.Info{}
		return err
	}
	d.info, err = d.s.settle(d.turn.ctx, d.up, d.info) // put off by an earlier request
	return err
}

// admit checks the chunk against its upload and returns the length that bounds
// it, or store.UnknownLength.
func (d *delivery) admit() (int64, error) {
	c, length := &d.chunk, d.info.Length
	switch {
	case tus.IsFinal(d.info.Metadata):
		return 0, errFinal
	case d.info.Complete && c.End != protocol.EndAtLength:
		return 0, protocol.ErrCompleted
	case c.Offset != d.info.Offset:
		return 0, &store.OffsetError{Expected: d.info.Offset, Provided: c.Offset}
	case c.Length == store.UnknownLength:
	case length != store.UnknownLength && c.Length != length:
		return 0, protocol.InconsistentLength(fmt.Sprintf("the length is %d and doesn't change", length))
	case c.Length < d.info.Offset:
		return 0, protocol.InconsistentLength(fmt.Sprintf("length %d is less than the offset %d", c.Length, d.info.Offset))
	default:
		length = c.Length
	}
	if length == store.UnknownLength && d.s.maxLength > 0 {
		length = d.s.maxLength
	}
	if length != store.UnknownLength && c.Size > length-c.Offset {
		return 0, protocol.TooLarge(length, fmt.Sprintf("%d bytes at offset %d go beyond %d", c.Size, c.Offset, length))
	}
	if c.Length != store.UnknownLength && d.info.Length == store.UnknownLength {
		if err := d.up.SetLength(d.turn.ctx, c.Length); err != nil {
			return 0, fmt.Errorf("set length: %w", err)
		}
	}
	return length, nil
}

// write streams the body into the store.
func (d *delivery) write(length int64) error {
	if d.chunk.Size == 0 {
		return d.verify()
	}
	// Until the first Read the store waits for memory, as this does. One that waits
	// for it later bounds that itself.
	waiting := time.AfterFunc(d.s.opts.MemoryTimeout, func() { d.turn.end(errMemory) })
	defer waiting.Stop()
	release, err := d.s.chargeRequest(d.turn.ctx)
	if err != nil {
		return err
	}
	defer release()
	in := d.s.intake(d.turn, func() { waiting.Stop() })
	d.ending = &in.ending
	defer in.limit.Close()
	if d.chunk.Size != store.UnknownLength {
		in.conn, in.ending.left = d.s.watched(d.turn.ctx), d.chunk.Size
	}
	in.progress = progress(d.turn.ctx, d.up, &d.chunk)
	if d.chunk.Size == store.UnknownLength && length != store.UnknownLength {
		in.room, in.most, in.probe = length-d.chunk.Offset, length, true
	}
	d.info.Metadata = nil // settle asks for it again: it isn't kept while the body waits
	n, err := d.put(in)
	if err != nil {
		d.info.Offset += n
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// put has the store take the body. An upload that is complete takes none, and of
// one of unknown size only its end can come: room is 0.
func (d *delivery) put(in *intake) (int64, error) {
	c := &d.chunk
	if d.info.Complete {
		if _, err := in.Read(nil); !errors.Is(err, io.EOF) {
			return 0, err
		}
		return 0, d.verify()
	}
	if c.Verify == nil {
		return d.up.Write(d.turn.ctx, c.Offset, in, c.Size)
	}
	v, ok := d.up.(store.Verifier)
	if !ok { // though Limits promise it
		return 0, fmt.Errorf("verify: %w", store.ErrUnsupported)
	}
	return v.WriteVerified(d.turn.ctx, c.Offset, in, c.Size, c.Verify)
}

// verify checks a chunk without bytes.
func (d *delivery) verify() error {
	if d.chunk.Verify == nil {
		return nil
	}
	return d.chunk.Verify()
}

// settle says where the upload stands now, and completes it if that is due.
func (d *delivery) settle() error {
	// Bytes are there that the client should hear of, also if it is gone now.
	after, err := d.up.Info(context.WithoutCancel(d.turn.ctx))
	if err != nil {
		d.info = store.Info{}
		return fmt.Errorf("look up upload: %w", err)
	}
	d.info = after
	if d.chunk.End == protocol.EndHere && d.info.Length == store.UnknownLength {
		if err := d.up.SetLength(context.WithoutCancel(d.turn.ctx), d.info.Offset); err != nil {
			return fmt.Errorf("set length: %w", err)
		}
		d.info.Length = d.info.Offset
	}
	switch {
	case d.info.Complete || d.chunk.End == protocol.EndLater || tus.IsPartial(d.info.Metadata):
	case d.info.Offset == d.info.Length:
		d.info, err = d.s.complete(d.turn.ctx, d.up, d.info, d.chunk.Whole)
	case d.chunk.End == protocol.EndHere:
		err = protocol.InconsistentLength(fmt.Sprintf("the upload ends at %d, and its length is %d", d.info.Offset, d.info.Length))
	}
	return err
}
