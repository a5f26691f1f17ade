package clusterstore

import (
	"context"
	"errors"
	"io"

	"github.com/streamflow/streamflow/internal/bucket"
)

// A span is n bytes of an object.
type span struct {
	object
	off, n int64
}

// compose adds objects to a multipart upload that has some parts already, and
// returns all parts. S3 copies what is large enough for a part, and the last
// bytes; what lies between and is smaller passes through here, with as much of
// what follows as makes it a part.
func (s *Store) compose(ctx context.Context, m bucket.Multipart, parts []bucket.Part, objects []object) ([]bucket.Part, error) {
	var small []span
	gathered := int64(0)
	flush := func() (err error) {
		var p bucket.Part
		switch len(small) {
		case 0:
			return nil
		case 1:
			p, err = s.copySpan(ctx, small[0], m, len(parts)+1)
		default:
			p, err = s.sendSpans(ctx, small, gathered, m, len(parts)+1)
		}
		parts, small, gathered = append(parts, p), nil, 0
		return err
	}
	for _, o := range objects {
		for rest := (span{o, 0, o.Size}); rest.n > 0; {
			n := pieceOf(rest.n, gathered)
			small = append(small, span{o, rest.off, n})
			gathered += n
			rest.off, rest.n = rest.off+n, rest.n-n
			if gathered >= bucket.MinPartBytes {
				if err := flush(); err != nil {
					return nil, err
				}
			}
		}
	}
	return parts, flush()
}

// pieceOf says how many of the n bytes that are left of an object go into the
// next part, for which some are gathered.
func pieceOf(n, gathered int64) int64 {
	const least, most = bucket.MinPartBytes, bucket.MaxPartBytes
	switch {
	case gathered == 0 && n <= most:
		return n
	case gathered == 0:
		parts := (n + most - 1) / most
		return (n + parts - 1) / parts
	case n < 2*least:
		return n
	default:
		return least - gathered // so that S3 can copy the rest
	}
}

// copySpan has S3 make a part. Some services say of a range that its sum is that
// of the whole object, and would take the upload for damaged: to those the bytes
// are sent.
func (s *Store) copySpan(ctx context.Context, sp span, m bucket.Multipart, number int) (bucket.Part, error) {
	p, err := s.bucket.CopyPart(ctx, sp.Key, sp.off, sp.n, m, number)
	if err == nil && sp.n < sp.Size && p.Sum.Known && p.Sum.CRC32C == sp.Sum {
		return s.sendSpans(ctx, []span{sp}, sp.n, m, number)
	}
	return p, err
}

// sendSpans makes a part of what is read back.
func (s *Store) sendSpans(ctx context.Context, spans []span, size int64, m bucket.Multipart, number int) (bucket.Part, error) {
	r := &spanReader{ctx: ctx, store: s, spans: spans}
	p, err := s.bucket.UploadPart(ctx, m, number, r, size)
	return p, errors.Join(err, r.Close())
}

// A spanReader is the bytes of spans, one after the other, each opened when its
// turn comes.
type spanReader struct {
	ctx   context.Context
	store *Store
	spans []span
	open  io.ReadCloser
}

// Read implements io.Reader.
func (r *spanReader) Read(p []byte) (int, error) {
	for {
		if r.open == nil {
			if len(r.spans) == 0 {
				return 0, io.EOF
			}
			sp := r.spans[0]
			opened, _, err := r.store.bucket.Get(r.ctx, sp.Key, sp.off, sp.n)
			if err != nil {
				return 0, err
			}
			r.open, r.spans = opened, r.spans[1:]
		}
		n, err := r.open.Read(p)
		if errors.Is(err, io.EOF) {
			err = r.Close()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Close implements io.Closer. It may be called again.
func (r *spanReader) Close() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}

// contents is the bytes of whole objects.
func (s *Store) contents(ctx context.Context, objects []object) *spanReader {
	r := &spanReader{ctx: ctx, store: s}
	for _, o := range objects {
		r.spans = append(r.spans, span{o, 0, o.Size})
	}
	return r
}
