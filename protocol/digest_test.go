package protocol_test

import (
	"testing"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

func TestDigest(t *testing.T) {
	sum := store.Sum{CRC32C: 0xe3069283, Known: true} // of "123456789"
	if got, want := protocol.FormatDigest(sum), "crc32c=:4waSgw==:"; got != want {
		t.Errorf("FormatDigest = %s, want %s", got, want)
	}
	for header, want := range map[string]store.Sum{
		"crc32c=:4waSgw==:":                 sum,
		"sha-256=:AAAA:, crc32c=:4waSgw==:": sum,
		"crc32c=4waSgw==":                   {},
		"crc32c=:4waSgwAA:":                 {},
		"crc32c=:":                          {},
		"crc32c":                            {},
		"":                                  {},
	} {
		if got := protocol.ParseDigest(header); got != want {
			t.Errorf("protocol.ParseDigest(%q) = %+v, want %+v", header, got, want)
		}
	}
}

func FuzzDigest(f *testing.F) {
	f.Add("crc32c=:4waSgw==:")
	f.Fuzz(func(t *testing.T, header string) {
		if sum := protocol.ParseDigest(header); sum.Known && protocol.ParseDigest(protocol.FormatDigest(sum)) != sum {
			t.Fatalf("%q is %+v, which doesn't survive", header, sum)
		}
	})
}
