package bucket

import (
	"encoding/base64"
	"encoding/binary"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// AppendSum is the sum of a followed by n bytes of sum b.
func AppendSum(a, b store.Sum, n int64) store.Sum {
	if !a.Known || !b.Known {
		return store.Sum{}
	}
	return store.Sum{CRC32C: checksum.Combine(a.CRC32C, b.CRC32C, n), Known: true}
}

// formatSum and parseSum are S3's way to write a CRC-32C.
func formatSum(crc uint32) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

func parseSum(text string) store.Sum {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != 4 {
		return store.Sum{}
	}
	return store.Sum{CRC32C: binary.BigEndian.Uint32(b), Known: true}
}
