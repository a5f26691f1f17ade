package compression_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"github.com/streamflow/streamflow/compression"
)

var codings = map[string]struct {
	coding *compression.Coding
	decode func(io.Reader) (io.Reader, error)
}{
	"gzip": {compression.Gzip(), func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
	"zstd": {compression.Zstd(), func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r, zstd.WithDecoderMaxWindow(8<<20)) }},
}

func prose(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "chunk %d is at the destination\n", i*7919%100003)
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

func TestComesBack(t *testing.T) {
	for name, c := range codings {
		for what, plain := range map[string][]byte{
			"nothing": nil, "a byte": {'x'}, "text": prose(3 << 20), "noise": noise(1 << 20), "zeros": make([]byte, 4<<20),
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				r, err := c.coding.Encode(iotest.HalfReader(bytes.NewReader(plain)))
				if err != nil {
					t.Fatal(err)
				}
				packed, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				if what == "text" && len(packed) > len(plain)/3 {
					t.Errorf("%d bytes became %d", len(plain), len(packed))
				}
				back, err := c.decode(bytes.NewReader(packed))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(back); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d of %d bytes came back: %v", len(got), len(plain), err)
				}
				if _, err := r.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("after the end: %v", err)
				}
			})
		}
	}
}

// Encoders are used again, also by several goroutines.
func TestReuse(t *testing.T) {
	plain := prose(256 << 10)
	for name, c := range codings {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 8 {
						r, err := c.coding.Encode(bytes.NewReader(plain))
						if err != nil {
							t.Error(err)
							return
						}
						back, err := c.decode(r)
						if err != nil {
							t.Error(err)
							return
						}
						if got, err := io.ReadAll(back); err != nil || !bytes.Equal(got, plain) {
							t.Errorf("%d bytes came back: %v", len(got), err)
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestSourceErrorComesAfterItsBytes(t *testing.T) {
	want := errors.New("the disk is gone")
	for name, c := range codings {
		t.Run(name, func(t *testing.T) {
			r, err := c.coding.Encode(io.MultiReader(strings.NewReader("text"), iotest.ErrReader(want)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); !errors.Is(err, want) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestShrinks(t *testing.T) {
	random := noise(48 << 10)
	for name, c := range map[string]struct {
		head []byte
		want bool
	}{
		"text":        {prose(64 << 10), true},
		"zeros":       {make([]byte, 64<<10), true},
		"hexadecimal": {[]byte(hex.EncodeToString(random)), true},
		"base64":      {[]byte(base64.StdEncoding.EncodeToString(random)), true},
		"noise":       {random, false},
		"a few bytes": {prose(100), false},
		"nothing":     {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := compression.Zstd().Shrinks(c.head); got != c.want {
				t.Errorf("Shrinks is %v", got)
			}
		})
	}
}
