package checksum_test

import (
	"bytes"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/streamflow/streamflow/internal/checksum"
)

func sum(p []byte) uint32 {
	return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli))
}

func TestUpdateIsCRC32C(t *testing.T) {
	// The check value of CRC-32C: RFC 3720, and every catalogue of CRCs.
	if got := checksum.Update(0, []byte("123456789")); got != 0xe3069283 {
		t.Fatalf("got %08x", got)
	}
	if got := checksum.Update(checksum.Update(0, []byte("1234")), []byte("56789")); got != 0xe3069283 {
		t.Fatalf("in two steps: got %08x", got)
	}
}

func TestCombine(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	whole := make([]byte, 100_000)
	for i := range whole {
		whole[i] = byte(random.Uint32())
	}
	for range 2000 {
		p := whole[:random.IntN(len(whole)+1)]
		cut := random.IntN(len(p) + 1)
		got := checksum.Combine(sum(p[:cut]), sum(p[cut:]), int64(len(p)-cut))
		if want := sum(p); got != want {
			t.Fatalf("%d bytes cut at %d: got %08x, want %08x", len(p), cut, got, want)
		}
	}
}

// Sums of lengths that no test can hold: each doubling is checked against the
// one before it, through another grouping of the same bytes.
func TestCombineLongLengths(t *testing.T) {
	block := bytes.Repeat([]byte("streamflow"), 1000)
	a, n := sum(block), int64(len(block))
	for n < 1<<61 {
		twice := checksum.Combine(a, a, n)
		left := checksum.Combine(checksum.Combine(twice, a, n), a, n)
		right := checksum.Combine(twice, twice, 2*n)
		if left != right {
			t.Fatalf("at %d bytes: ((aa)a)a is %08x, (aa)(aa) is %08x", n, left, right)
		}
		a, n = twice, 2*n
	}
}

func FuzzCombine(f *testing.F) {
	f.Add([]byte("hello, "), []byte("world"))
	f.Add([]byte{}, []byte{0})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got := checksum.Combine(sum(a), sum(b), int64(len(b)))
		if want := sum(append(bytes.Clone(a), b...)); got != want {
			t.Fatalf("got %08x, want %08x", got, want)
		}
	})
}

func BenchmarkCombine(b *testing.B) {
	for name, n := range map[string]int64{"1MiB": 1 << 20, "odd": 1<<62 - 12345, "worst": (1<<31 - 2) << 28} {
		b.Run(name, func(b *testing.B) {
			crc := uint32(0xe3069283)
			for b.Loop() {
				crc = checksum.Combine(crc, 0x12345678, n)
			}
		})
	}
}
