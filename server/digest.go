package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// digestBytes are read at once of what is read back.
const digestBytes = 64 << 10

// checkDigests compares a whole upload with the digests that its client gave for
// all of it. They were computed while it came if it came in one request; else it
// is read back, as the state of a hash isn't kept between requests. A store that
// can't be read leaves them unchecked, which RFC 9530 allows.
func (s *Server) checkDigests(ctx context.Context, info store.Info, computed *protocol.Digester) error {
	want, err := protocol.WholeDigests(info.Metadata).CheckSum(info.Sum)
	if err != nil || len(want) == 0 {
		return err
	}
	if !computed.Covers(want, info.Length) {
		computed = protocol.NewDigester(want.Algorithms()...)
		switch err := s.readBack(ctx, info.ID, computed); {
		case errors.Is(err, store.ErrUnsupported):
			return nil
		case err != nil:
			return fmt.Errorf("check the digest of an upload: %w", err)
		}
	}
	return computed.Check(want)
}

// readBack copies all of an upload to w.
func (s *Server) readBack(ctx context.Context, id string, w io.Writer) (err error) {
	content, _, err := s.observed.OpenReader(ctx, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	waiting, cancel := context.WithTimeoutCause(ctx, s.opts.MemoryTimeout, errMemory)
	defer cancel()
	buffer, err := s.mem.Acquire(waiting, memory.KindTransfer, digestBytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, buffer.Release()) }()
	_, err = io.CopyBuffer(w, struct{ io.Reader }{content}, buffer.Bytes())
	return err
}
