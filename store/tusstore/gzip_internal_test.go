package tusstore

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"runtime"
	"testing"

	"github.com/streamflow/streamflow/memory"
)

// What is reserved for a gzipper covers all that it takes, whatever it reads.
func TestGzipperMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	z, err := newGzipper(memory.Reservation{})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewSource(1))
	for range 3 {
		z.begin(io.LimitReader(zeros{}, 8<<20), func(int64) {})
		if _, err := io.Copy(io.Discard, z); err != nil {
			t.Fatal(err)
		}
		z.begin(io.LimitReader(random, 8<<20), func(int64) {})
		if _, err := io.Copy(io.Discard, z); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(z)
	took := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if took > gzipBytes || took < gzipBytes/2 {
		t.Errorf("took %d bytes, reserved %d", took, gzipBytes)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// BenchmarkGzip compares with compress/gzip, at the level that is used.
func BenchmarkGzip(b *testing.B) {
	var text bytes.Buffer
	for i := 0; text.Len() < 4<<20; i++ {
		fmt.Fprintf(&text, "request %d was served in %d ms by %x\n", i, i*7919%997, i*104729%65537)
	}
	ours, err := newGzipper(memory.Reservation{})
	theirs, err2 := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err := errors.Join(err, err2); err != nil {
		b.Fatal(err)
	}
	for name, send := range map[string]func() (int64, error){
		"gzipper": func() (int64, error) {
			ours.begin(bytes.NewReader(text.Bytes()), func(int64) {})
			return io.Copy(io.Discard, ours)
		},
		"standard": func() (int64, error) {
			var sent counter
			theirs.Reset(&sent)
			_, err := theirs.Write(text.Bytes())
			return int64(sent), errors.Join(err, theirs.Close())
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			for b.Loop() {
				sent, err := send()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(sent)/float64(text.Len()), "sent/byte")
			}
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
