package s3store_test

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"github.com/streamflow/streamflow/internal/s3test"
	"github.com/streamflow/streamflow/store"
)

// A claim is a reader that says what the sum of its bytes is.
type claim struct {
	io.Reader
	sum store.Sum
}

func (c claim) Sum() store.Sum { return c.sum }

// TestSummer: a reader's own sum goes with a part, and S3 compares it.
func TestSummer(t *testing.T) {
	st := open(t, s3test.Start(t, false), nil)
	data := bytes.Repeat([]byte("streamflow"), unit/5) // two units
	sumOf := func(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }
	for name, c := range map[string]struct {
		size int64
		sum  store.Sum
		want error
	}{
		"right":                   {unit, store.Sum{CRC32C: sumOf(data[:unit]), Known: true}, nil},
		"wrong":                   {unit, store.Sum{CRC32C: 1, Known: true}, store.ErrChecksum},
		"not known":               {unit, store.Sum{CRC32C: 1}, nil},
		"of more than a part has": {2 * unit, store.Sum{CRC32C: sumOf(data), Known: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: c.size, UnitBytes: unit})
			check(t, err)
			n, err := u.Write(t.Context(), 0, claim{bytes.NewReader(data), c.sum}, c.size)
			if !errors.Is(err, c.want) || (err == nil) != (n == c.size) {
				t.Errorf("%d bytes are acknowledged, %v", n, err)
			}
			if err == nil {
				_, err = u.Finish(t.Context(), store.Sum{CRC32C: sumOf(data[:c.size]), Known: true})
			} else {
				err = u.Abort(t.Context())
			}
			check(t, err)
		})
	}
}
