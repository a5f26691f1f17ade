package tusstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/streamflow/streamflow/internal/detach"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

// leastCompressed is the size of a unit below which gzip saves nothing to speak of.
const leastCompressed = 512

// An offer is whether the server takes gzip.
type offer int

const (
	unasked offer = iota
	takesGzip
	takesPlain
)

// Compress implements store.Compressor. The server is asked once for all uploads,
// by OPTIONS: RFC 9110, section 12.5.3, has it say there what it takes.
func (u *Upload) Compress(ctx context.Context, c store.Compression, saved func(bytes int64)) error {
	switch c {
	case store.Uncompressed:
		saved = nil
	case store.Gzip:
		if err := u.store.askForGzip(ctx); err != nil {
			return fmt.Errorf("compress upload %s: %w", u.shown, err)
		}
	default:
		return fmt.Errorf("compress upload %s: %w: compression %d", u.shown, store.ErrInvalid, c)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.saved = saved
	return nil
}

func (s *Store) askForGzip(ctx context.Context) error {
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.gzip.Load() == int32(unasked) {
		a, err := s.do(ctx, &request{method: http.MethodOptions, url: s.endpoint})
		if err != nil {
			return err
		}
		if a.status >= http.StatusInternalServerError {
			return a.failure()
		}
		offered := takesPlain
		if a.status/100 == 2 && a.takesGzip() {
			offered = takesGzip
		}
		s.gzip.Store(int32(offered))
	}
	if s.gzip.Load() != int32(takesGzip) {
		return fmt.Errorf("%w: the server doesn't take gzip", store.ErrUnsupported)
	}
	return nil
}

// takesGzip reads Accept-Encoding (RFC 9110, section 12.5.3).
func (a *answer) takesGzip() bool {
	for coding := range strings.SplitSeq(strings.Join(a.header.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		weight = strings.TrimRight(strings.ReplaceAll(weight, " ", ""), ".0")
		if strings.EqualFold(strings.TrimSpace(name), tus.CodingGzip) && !strings.EqualFold(weight, "q=") {
			return true
		}
	}
	return false
}

// A coded body is read by a transport, and taken back from it in the end.
type coded struct {
	*detach.Reader
	gzipper *gzipper
	store   *Store
}

// code returns what to send of a unit instead of source, or nil where that is the
// unit as it is: where nobody asked for gzip, where it doesn't pay, and where
// there is no memory for it.
func (u *Upload) code(source io.Reader, size int64) *coded {
	u.mu.Lock()
	saved := u.saved
	u.mu.Unlock()
	if saved == nil || size != store.UnknownLength && size < leastCompressed {
		return nil
	}
	z, err := u.store.takeGzipper()
	if err != nil {
		return nil // it was only to save something
	}
	z.begin(source, saved)
	return &coded{detach.NewReader(z), z, u.store}
}

// release waits for a Read under way. The source is detached before.
func (c *coded) release() error {
	c.Detach()
	return c.store.putGzipper(c.gzipper)
}

// refuses: the server doesn't take this body in gzip, but perhaps as it is.
func (a *answer) refuses() bool {
	switch a.status {
	case http.StatusUnsupportedMediaType:
		return a.problem().Code != protocol.CodeFile // which is about the file's type
	case http.StatusRequestEntityTooLarge, http.StatusBadRequest:
		return true
	}
	return false
}

// uncoded has the upload, or with a 415 all uploads, go on without gzip.
func (u *Upload) uncoded(a *answer) error {
	if a.status == http.StatusUnsupportedMediaType {
		u.store.gzip.Store(int32(takesPlain))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.saved = nil
	return store.Transient(fmt.Errorf("the server refuses gzip: %s", a.describe()))
}

// takeGzipper returns an idle one, or a new one where there is room.
func (s *Store) takeGzipper() (*gzipper, error) {
	s.mu.Lock()
	if last := len(s.idle) - 1; last >= 0 {
		z := s.idle[last]
		s.idle = s.idle[:last]
		s.mu.Unlock()
		return z, nil
	}
	s.mu.Unlock()
	room, err := s.mem.TryReserve(memory.KindCompressor, gzipBytes)
	if err != nil {
		return nil, err
	}
	z, err := newGzipper(room)
	if err != nil {
		return nil, errors.Join(err, room.Release())
	}
	return z, nil
}

// putGzipper keeps one for the next Write, until memory gets short.
func (s *Store) putGzipper(z *gzipper) error {
	z.begin(nil, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return z.room.Release()
	}
	s.idle = append(s.idle, z)
	return nil
}

// dropGzippers gives back what is idle, and returns how many bytes that was.
func (s *Store) dropGzippers() (bytes int64, err error) {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, z := range idle {
		err = errors.Join(err, z.room.Release())
		bytes += memory.Cost(gzipBytes)
	}
	return bytes, err
}
