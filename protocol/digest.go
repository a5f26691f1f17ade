package protocol

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/streamflow/streamflow/store"
)

// Header names of RFC 9530, in canonical form.
const (
	HeaderContentDigest  = "Content-Digest"
	HeaderReprDigest     = "Repr-Digest"
	HeaderWantReprDigest = "Want-Repr-Digest"
)

// WantDigest is the Want-Repr-Digest value that asks for the one digest there
// is here: the CRC-32C of a complete upload (RFC 9530, section 4).
const WantDigest = digestKey + "=1"

const digestKey = "crc32c"

// FormatDigest returns the Repr-Digest value of a known sum.
func FormatDigest(sum store.Sum) string {
	b := binary.BigEndian.AppendUint32(nil, sum.CRC32C)
	return digestKey + "=:" + base64.StdEncoding.EncodeToString(b) + ":"
}

// ParseDigest finds the CRC-32C in a Repr-Digest value. The sum is unknown
// where there is none or it is malformed: RFC 9530 has a recipient ignore
// what it can't use.
func ParseDigest(header string) store.Sum {
	for member := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		if key != digestKey || len(value) < 2 || value[0] != ':' || value[len(value)-1] != ':' {
			continue
		}
		b, err := base64.StdEncoding.DecodeString(value[1 : len(value)-1])
		if err == nil && len(b) == 4 {
			return store.Sum{CRC32C: binary.BigEndian.Uint32(b), Known: true}
		}
	}
	return store.Sum{}
}

// WantsDigest says whether a Want-Repr-Digest value accepts CRC-32C: a weight
// from 1 to 10, as 0 means not acceptable.
func WantsDigest(header string) bool {
	for member := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(member), "=")
		weight, err := strconv.Atoi(value)
		if key == digestKey && err == nil && weight >= 1 && weight <= 10 {
			return true
		}
	}
	return false
}
