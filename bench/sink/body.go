package main

import (
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/streamflow/streamflow/internal/checksum"
)

const (
	// tailBytes is more than the last chunk, the trailer and its signature take.
	tailBytes   = 512
	bufferBytes = 256 << 10
)

var buffers = sync.Pool{New: func() any {
	p := make([]byte, bufferBytes)
	return &p
}}

// A sum is a CRC-32C, where one is known.
type sum struct {
	crc   uint32
	known bool
}

func (s sum) String() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, s.crc))
}

func parseSum(text string) sum {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != 4 {
		return sum{}
	}
	return sum{binary.BigEndian.Uint32(b), true}
}

// followed returns the object of o's bytes and then next's.
func (o object) followed(next object) object {
	joined := object{size: o.size + next.size, sum: sum{known: o.sum.known && next.sum.known}}
	if joined.sum.known {
		joined.sum.crc = checksum.Combine(o.sum.crc, next.sum.crc, next.size)
	}
	return joined
}

const headerSum = "X-Amz-Checksum-Crc32c"

// swallow reads a body. In S3's own coding its length is in a header and its
// checksum in a trailer.
func swallow(r *http.Request) (object, error) {
	size, last, err := drain(r.Body)
	o := object{size: size, sum: parseSum(r.Header.Get(headerSum))}
	if decoded := r.Header.Get("X-Amz-Decoded-Content-Length"); decoded != "" {
		if o.size, err = strconv.ParseInt(decoded, 10, 64); err != nil {
			return o, err
		}
		if _, value, found := strings.Cut(strings.ToLower(string(last)), strings.ToLower(headerSum)+":"); found {
			// Base64 has both cases: the value is cut from what came.
			start := len(last) - len(value)
			text, _, _ := strings.Cut(string(last[start:]), "\r\n")
			o.sum = parseSum(text)
		}
	}
	return o, err
}
