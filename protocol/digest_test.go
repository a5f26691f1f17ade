package protocol_test

import (
	"errors"
	"fmt"
	"slices"
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
		digests := protocol.ParseDigests([]string{header})
		if again := protocol.ParseDigests([]string{digests.String()}); again.String() != digests.String() {
			t.Fatalf("%q is %s, and then %s", header, digests, again)
		}
		protocol.WantedDigests([]string{header})
		if sum := protocol.ParseDigest(header); sum.Known && protocol.ParseDigest(protocol.FormatDigest(sum)) != sum {
			t.Fatalf("%q is %+v, which doesn't survive", header, sum)
		}
	})
}

func TestWantedDigests(t *testing.T) {
	for header, want := range map[string]string{
		"crc32c=1":                         "[crc32c]",
		"sha-512=3, sha-256=10, unixsum=3": "[sha-256 sha-512]",
		"crc32c=0":                         "[]",
		"crc32c=11":                        "[]",
		"crc32c=1.0, sha-256, sha-512=(1)": "[]",
		"crc32c=1, ":                       "[]", // malformed as a whole
		"sha=1, md5=10, sha-256=2;q=1":     "[sha-256]",
	} {
		got := protocol.WantedDigests([]string{header})
		slices.Sort(got)
		if fmt.Sprint(got) != want {
			t.Errorf("%q wants %v", header, got)
		}
	}
}

func TestDigester(t *testing.T) {
	want := protocol.ParseDigests([]string{
		"crc32c=:4waSgw==:, sha-256=:FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=:", "md5=:AAAA:",
	})
	if fmt.Sprint(want.Algorithms()) != "[crc32c sha-256]" {
		t.Fatalf("digests are %v", want)
	}
	d := protocol.NewDigester(want.Algorithms()...)
	_, _ = d.Write([]byte("12345"))
	_, _ = d.Write([]byte("6789"))
	if !d.Covers(want, 9) || d.Covers(want, 8) || d.Covers(protocol.Digests{"sha-512": nil}, 9) || (*protocol.Digester)(nil).Covers(want, 0) {
		t.Error("covers something else")
	}
	if err := d.Check(want); err != nil {
		t.Error(err)
	}
	if again := protocol.ParseDigests([]string{want.String()}); again.String() != want.String() {
		t.Errorf("%s became %s", want, again)
	}
	_, _ = d.Write([]byte("0"))
	if err := d.Check(want); !errors.Is(err, store.ErrChecksum) || protocol.Status(err) != 400 {
		t.Errorf("another digest: %v", err)
	}
	rest, err := want.CheckSum(store.Sum{CRC32C: 0xe3069283, Known: true})
	if err != nil || fmt.Sprint(rest.Algorithms()) != "[sha-256]" {
		t.Errorf("left are %v, %v", rest, err)
	}
	if _, err := want.CheckSum(store.Sum{CRC32C: 1, Known: true}); !errors.Is(err, store.ErrChecksum) {
		t.Errorf("another sum: %v", err)
	}
}
