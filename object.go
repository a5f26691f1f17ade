package streamflow

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync/atomic"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// sampleBytes of a source say whether it shrinks.
const sampleBytes = 64 << 10

// An object is what is stored of a source: its bytes as they are, or what they
// become on the way.
type object struct {
	name   string
	length int64     // or store.UnknownLength
	reader io.Reader // of a stream, or of what a file becomes; nil for a file as it is
	coding string    // content coding that the destination keeps, or ""

	// encoded: the bytes aren't the source's, and nobody can make them again.
	encoded bool
	kind    memory.Kind // of what is held of them
}

// asItIs returns the object that a source becomes without encoders.
func asItIs(src *Source) object {
	return object{name: src.name, length: src.Size(), reader: src.stream, kind: memory.KindChunk}
}

// encode puts the encoders between the source and the upload, without those that
// would save nothing. Memory for all is reserved at once, before there is any.
func (u *Upload) encode(ctx context.Context) error {
	encoders := u.m.opts.Encoders
	if len(encoders) == 0 {
		return nil
	}
	kind, sizes := u.m.encoderMemory()
	room, err := u.m.encoders.Reserve(ctx, kind, sizes...)
	if err != nil {
		return explainLimit(err, u.m.mem, u.m.encodersReserve())
	}
	u.room = &room
	head, err := u.sample()
	if err != nil {
		return err
	}
	for _, e := range encoders {
		if c, ok := e.(Compressor); ok && !u.compresses(c, head) {
			continue
		}
		if err := u.object.encode(e, u.src, &u.counters); err != nil {
			return err
		}
	}
	if c := u.coding(); c != "" && u.object.encoded {
		u.object.coding, u.object.name = c, u.src.name
	}
	u.setObject(u.object)
	if u.object.reader == nil {
		return u.releaseEncoders()
	}
	return nil
}

// encoderMemory is what the encoders of one upload hold.
func (m *Manager) encoderMemory() (kind memory.Kind, sizes []int64) {
	sizes = []int64{sampleBytes}
	for _, e := range m.opts.Encoders {
		var n int64
		kind, n = e.Memory()
		sizes = append(sizes, n)
	}
	return kind, sizes
}

// compresses reports whether the source, which begins with head, is worth it, and
// doesn't get a name that is taken: of the two only one would be left.
func (u *Upload) compresses(c Compressor, head []byte) bool {
	if !compressible(u.src.name) || !c.Shrinks(head) {
		return false
	}
	if u.coding() != "" || !u.src.isTaken(c.Extension()) {
		return true
	}
	u.m.opts.Logger.Info("not compressed: another file has the name it would get", "upload", u.src.name, "extension", c.Extension())
	return false
}

// coding returns the content coding that the destination keeps with what is
// compressed, or "" where the name has to say it.
func (u *Upload) coding() string {
	encoders := u.m.opts.Encoders
	if c, ok := encoders[0].(Compressor); ok && len(encoders) == 1 && u.m.dst.Limits().ContentCoding {
		return c.ContentCoding()
	}
	return ""
}

// releaseEncoders gives back what encode reserved. It may be called again.
func (u *Upload) releaseEncoders() error {
	if u.room == nil {
		return nil
	}
	room := u.room
	u.room = nil
	return room.Release()
}

// sample returns how the source begins, where an encoder wants to know. Of a
// stream it is put back.
func (u *Upload) sample() ([]byte, error) {
	if !slices.ContainsFunc(u.m.opts.Encoders, func(e Encoder) bool { _, ok := e.(Compressor); return ok }) {
		return nil, nil
	}
	head := make([]byte, sampleBytes)
	if u.src.file != nil {
		n, err := u.src.file.ReadAt(head, 0)
		if err != nil && err != io.EOF {
			return nil, &SourceError{Name: u.src.name, Err: err}
		}
		return head[:n], nil
	}
	n, err := fill(u.src.stream, head)
	if err != nil && err != io.EOF {
		return nil, &SourceError{Name: u.src.name, Err: err}
	}
	u.object.reader = io.MultiReader(bytes.NewReader(head[:n]), u.src.stream)
	return head[:n], nil
}

// encode has e encode what o is so far.
func (o *object) encode(e Encoder, src *Source, c *counters) error {
	kind, _ := e.Memory()
	r := o.reader
	switch {
	case o.encoded:
	case r == nil:
		r = &fileReader{src: src, counters: new(counters), end: src.Size()}
	default:
		r = &explainedReader{r, func(err error) error { return &SourceError{Name: src.name, Err: err} }}
	}
	_, shrinks := e.(Compressor)
	if shrinks {
		r = &tally{r: r, to: &c.saved, sign: 1}
	}
	encoded, err := e.Encode(r)
	if err != nil {
		return &EncodeError{Kind: kind, Err: err}
	}
	o.reader = &explainedReader{encoded, func(err error) error { return &EncodeError{Kind: kind, Err: err} }}
	if shrinks {
		o.reader = &tally{r: o.reader, to: &c.saved, sign: -1}
	}
	if o.length != store.UnknownLength {
		o.length = e.EncodedBytes(o.length)
	}
	o.name += e.Extension()
	o.encoded = true
	if kind == memory.KindEncryption {
		o.kind = kind
	}
	return nil
}

// An explainedReader says whose an error is, of the source or an encoder, where
// nobody before it has.
type explainedReader struct {
	r       io.Reader
	explain func(error) error
}

func (e *explainedReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && err != io.EOF && !isExplained(err) {
		err = e.explain(err)
	}
	return n, err
}

func isExplained(err error) bool { return isType[*SourceError](err) || isType[*EncodeError](err) }

// A tally adds what passes to a counter, or takes it off.
type tally struct {
	r    io.Reader
	to   *atomic.Int64
	sign int64
}

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.to.Add(t.sign * int64(n))
	return n, err
}

// readError says what reading an object died of.
func (u *Upload) readError(err error) error {
	if isExplained(err) {
		return err
	}
	return &SourceError{Name: u.src.name, Err: err}
}
