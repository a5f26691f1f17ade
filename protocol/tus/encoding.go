package tus

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"net/http"
	"strings"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// CodingGzip is the one content coding (RFC 9110, section 8.4.1) that a body may
// have. It has a second name.
const (
	CodingGzip  = "gzip"
	codingXGzip = "x-gzip"
)

// decoderBytes is what a decoder takes: the window of 32 KiB that deflate looks
// back into, tables, and a buffer of 4 KiB for what comes.
const decoderBytes = 64 << 10

// What a body may become: any that is small, and beyond that a bounded multiple
// of its size. Deflate itself ends at a thousandfold.
const (
	expansionFree = 1 << 20
	expansionMost = 256
)

var errExpansion = protocol.TooLarge(expansionMost,
	"the gzip expands more than this server takes: send these bytes as they are")

// coding returns the content coding of a body, or "".
func (h *Handler) coding(r *http.Request) (string, error) {
	coding := strings.ToLower(strings.Join(r.Header.Values("Content-Encoding"), ","))
	switch {
	case coding == "", coding == "identity":
		return "", nil
	case (coding == CodingGzip || coding == codingXGzip) && h.opts.Decoders != nil:
		return CodingGzip, nil
	}
	accepted := "identity"
	if h.opts.Decoders != nil {
		accepted = CodingGzip
	}
	return "", &protocol.Refusal{
		Status: http.StatusUnsupportedMediaType,
		Code:   protocol.CodeMediaType,
		Detail: "the Content-Encoding of a body here can be " + accepted,
		Header: http.Header{"Accept-Encoding": {accepted}},
	}
}

// A decodedBody is what a body in gzip becomes. It reads no byte before it is
// read itself, and then to the end, where a trailer is.
type decodedBody struct {
	protocol.Body
	taken   int64 // of the body as sent
	given   int64
	decoder *gzip.Reader
}

// Read implements io.Reader. What a broken stream had before is given.
func (b *decodedBody) Read(p []byte) (int, error) {
	if b.decoder == nil {
		decoder, err := gzip.NewReader(encoded{b})
		if err != nil {
			return 0, malformed(err)
		}
		b.decoder = decoder
	}
	n, err := b.decoder.Read(p)
	b.given += int64(n)
	if b.given > expansionFree && b.given/expansionMost > b.taken {
		return 0, errExpansion
	}
	return n, malformed(err)
}

// encoded counts what is taken of a body.
type encoded struct{ b *decodedBody }

// Read implements io.Reader.
func (e encoded) Read(p []byte) (int, error) {
	n, err := e.b.Body.Read(p)
	e.b.taken += int64(n)
	return n, err
}

// malformed says to the client that its body isn't what it calls it. Any other
// error is of the connection.
func malformed(err error) error {
	if !errors.Is(err, gzip.ErrHeader) && !errors.Is(err, gzip.ErrChecksum) && !errors.As(err, new(flate.CorruptInputError)) {
		return err
	}
	return &protocol.Refusal{
		Status: http.StatusBadRequest,
		Code:   protocol.CodeValidation,
		Detail: "the body isn't gzip, as its Content-Encoding says, or it is damaged",
		Err:    store.ErrInvalid,
	}
}
