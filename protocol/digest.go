package protocol

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"

	"github.com/dunglas/httpsfv"

	"github.com/streamflow/streamflow/store"
)

// Header names of RFC 9530, in canonical form.
const (
	HeaderContentDigest  = "Content-Digest"
	HeaderReprDigest     = "Repr-Digest"
	HeaderWantReprDigest = "Want-Repr-Digest"
)

// WantDigest is the Want-Repr-Digest value that asks for the digest that a
// server always has: the CRC-32C of a complete upload (RFC 9530, section 4).
const WantDigest = crc32c + "=1"

const crc32c = "crc32c"

// newHash returns nil for an algorithm that isn't checked here. Those that
// RFC 9530 calls insecure are not, but for the CRC, which finds accidents.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case crc32c:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "sha-256":
		return sha256.New()
	case "sha-512":
		return sha512.New()
	default:
		return nil
	}
}

// Digests are sums by the name of their algorithm, each of one that is checked
// here: crc32c, sha-256, sha-512.
type Digests map[string][]byte

// ParseDigests reads a Content-Digest or Repr-Digest field. What is malformed or
// of another algorithm is left out: RFC 9530 has a recipient ignore what it
// can't use.
func ParseDigests(values []string) Digests {
	digests := make(Digests)
	for algorithm, value := range members(values) {
		sum, ok := value.([]byte)
		if h := newHash(algorithm); ok && h != nil && h.Size() == len(sum) {
			digests[algorithm] = sum
		}
	}
	return digests
}

// members are the plain items of a dictionary field (RFC 9651), none where it is
// malformed.
func members(values []string) map[string]any {
	if len(values) == 0 {
		return nil
	}
	found := make(map[string]any)
	dictionary, err := httpsfv.UnmarshalDictionary(values)
	if err != nil {
		return nil
	}
	for _, name := range dictionary.Names() {
		if member, _ := dictionary.Get(name); member != nil {
			if item, ok := member.(httpsfv.Item); ok {
				found[name] = item.Value
			}
		}
	}
	return found
}

// String is d as a field's value.
func (d Digests) String() string {
	dictionary := httpsfv.NewDictionary()
	for _, algorithm := range slices.Sorted(maps.Keys(d)) {
		dictionary.Add(algorithm, httpsfv.NewItem(d[algorithm]))
	}
	value, err := httpsfv.Marshal(dictionary)
	if err != nil {
		panic(err) // our own names, and bytes: can't be
	}
	return value
}

// WantedDigests reads a Want-Repr-Digest field: the algorithms that are wanted
// and can be had here. A weight is from 1 to 10; 0 means not acceptable.
func WantedDigests(values []string) (algorithms []string) {
	for algorithm, value := range members(values) {
		weight, ok := value.(int64)
		if ok && weight >= 1 && weight <= 10 && newHash(algorithm) != nil {
			algorithms = append(algorithms, algorithm)
		}
	}
	return algorithms
}

// FormatDigest returns the Repr-Digest value of a known sum.
func FormatDigest(sum store.Sum) string {
	return Digests{crc32c: binary.BigEndian.AppendUint32(nil, sum.CRC32C)}.String()
}

// ParseDigest finds the CRC-32C in a Repr-Digest value. The sum is unknown
// where there is none.
func ParseDigest(header string) store.Sum {
	sum, ok := ParseDigests([]string{header})[crc32c]
	if !ok {
		return store.Sum{}
	}
	return store.Sum{CRC32C: binary.BigEndian.Uint32(sum), Known: true}
}

// Algorithms returns their names, in order.
func (d Digests) Algorithms() []string { return slices.Sorted(maps.Keys(d)) }

// CheckSum compares the CRC-32C in d with a known sum, and returns what is left
// to be checked. A difference is store.ErrChecksum.
func (d Digests) CheckSum(sum store.Sum) (rest Digests, err error) {
	want, ok := d[crc32c]
	if !ok || !sum.Known {
		return d, nil
	}
	rest = maps.Clone(d)
	delete(rest, crc32c)
	return rest, checkDigest(crc32c, want, binary.BigEndian.AppendUint32(nil, sum.CRC32C))
}

func checkDigest(algorithm string, want, got []byte) error {
	if bytes.Equal(want, got) {
		return nil
	}
	return &Refusal{
		Status: http.StatusBadRequest,
		Code:   CodeChecksum,
		Detail: fmt.Sprintf("the %s of what came is %x, not %x", algorithm, got, want),
		Err:    store.ErrChecksum,
	}
}

// SetDigest answers a Want-Repr-Digest about a complete upload, as far as its
// digest is known: by its own sum, and by what was computed of it, or nil.
func SetDigest(w http.ResponseWriter, r *http.Request, info store.Info, computed *Digester) {
	if !info.Complete {
		return
	}
	have := make(Digests)
	for _, algorithm := range WantedDigests(r.Header.Values(HeaderWantReprDigest)) {
		switch {
		case algorithm == crc32c && info.Sum.Known:
			have[crc32c] = binary.BigEndian.AppendUint32(nil, info.Sum.CRC32C)
		case computed != nil && computed.bytes == info.Length && computed.hashes[algorithm] != nil:
			have[algorithm] = computed.hashes[algorithm].Sum(nil)
		}
	}
	if len(have) > 0 {
		w.Header().Set(HeaderReprDigest, have.String())
	}
}
