package tus

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/streamflow/streamflow/store"
)

// A deaf body has no deadlines.
type deaf struct{ io.Reader }

func (deaf) SetReadDeadline(time.Time) error { return nil }

func compress(t testing.TB, p []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(p)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A decoder allocates no more than is reserved for it.
func TestDecoderBytes(t *testing.T) {
	body := &decodedBody{Body: deaf{bytes.NewReader(compress(t, bytes.Repeat([]byte("all sorts of text 0123456789\n"), 10000)))}}
	buffer := make([]byte, 4<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for {
		if _, err := body.Read(buffer); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > decoderBytes {
		t.Errorf("a decoder took %d bytes, and %d are reserved", took, decoderBytes)
	}
}

// FuzzDecode: a body never becomes more than it may, and what was gzip comes
// back.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("text"), false)
	f.Add(compress(f, []byte("text")), true)
	f.Fuzz(func(t *testing.T, data []byte, raw bool) {
		sent := data
		if !raw {
			sent = compress(t, data)
		}
		got, err := io.ReadAll(&decodedBody{Body: deaf{bytes.NewReader(sent)}})
		switch {
		case len(got) > expansionFree+expansionMost*len(sent):
			t.Fatalf("%d bytes became %d", len(sent), len(got))
		case !raw && (err != nil && !errors.Is(err, store.ErrTooLarge) || err == nil && !bytes.Equal(got, data)):
			t.Fatalf("%d bytes came back as %d, %v", len(data), len(got), err)
		case err != nil && !errors.Is(err, store.ErrInvalid) && !errors.Is(err, store.ErrTooLarge) && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Fatalf("error is %v", err)
		}
	})
}
