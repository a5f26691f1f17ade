package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// The words that garbage is made of: right ones, so that it gets past the
// first look, and wrong ones.
var (
	garbageMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "", "P\x00ST", "patch"}
	garbagePaths   = []string{
		"/", "/files/", "/files", "/files/0123456789abcdef0123456789abcdef", "/files/../../etc/passwd", "/files/%2e%2e%2fx", "/files/a%00b",
		"//", "*", "http://other/files/", "/metrics", "/healthz", "/api/v1/memory", "/api/v1/uploads", "/api/v1/events", "/files/?a=%zz",
	}
	// On loopback the server answers to no other name, and looks no further.
	garbageHosts  = []string{"localhost", "localhost", "127.0.0.1", "127.0.0.1:8080", "[::1]", "localhost", "x", "x:y"}
	garbageFields = []string{
		"Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Defer-Length", "Upload-Metadata", "Upload-Concat", "Upload-Checksum",
		"Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Expect", "X-HTTP-Method-Override", "Trailer",
		"Upload-Complete", "Upload-Draft-Interop-Version", "Repr-Digest", "Content-Digest", "Want-Repr-Digest", "Range", "If-Match",
		"Authorization", "Origin", "Access-Control-Request-Method", "X-Forwarded-Host", "X-Forwarded-Proto", "Host", "Connection", "Upgrade",
	}
	garbageValues = []string{
		"1.0.0", "0", "1", "5", "-1", "9223372036854775807", "9223372036854775808", "1e3", "?0", "?1", "8", "6", "partial",
		"final;/files/0123456789abcdef0123456789abcdef", "final;", "final;http://x/ \t /", "a YQ==", "a YQ==,a YQ==", "a *", "é \xff",
		"sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "sha1 ", "md5 x", "sha-256=:AA==:", "sha-256=1", "application/offset+octet-stream",
		"application/partial-upload", "text/plain", "chunked", "gzip", "100-continue", "PATCH", "Upload-Checksum", "bytes=0-", "bytes=9-1,-5",
		"Bearer x", "null", "close", "keep-alive, Upload-Length", "h2c", "",
	}
)

// garbage is the bytes of one request, or nearly.
func garbage(random *rand.Rand) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", pick(random, garbageMethods), pick(random, garbagePaths), pick(random, garbageHosts))
	if random.IntN(4) > 0 {
		b.WriteString("Tus-Resumable: 1.0.0\r\n")
	}
	for range random.IntN(8) {
		fmt.Fprintf(&b, "%s: %s\r\n", pick(random, garbageFields), garbageValue(random))
	}
	body := make([]byte, random.IntN(200))
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	if random.IntN(3) > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	if random.IntN(8) == 0 {
		damage(random, b.Bytes())
	}
	return b.Bytes()[:b.Len()-min(b.Len(), max(0, random.IntN(60)-50))]
}

func garbageValue(random *rand.Rand) string {
	value := pick(random, garbageValues)
	switch random.IntN(12) {
	case 0:
		return string(bytes.Repeat([]byte(value+","), 1+random.IntN(1000)))
	case 1:
		raw := []byte(value)
		damage(random, raw)
		return string(raw)
	}
	return value
}

// damage changes a few bytes.
func damage(random *rand.Rand, b []byte) {
	for range min(len(b), 1+random.IntN(4)) {
		b[random.IntN(len(b))] = byte(random.Uint32())
	}
}

func pick(random *rand.Rand, from []string) string { return from[random.IntN(len(from))] }
