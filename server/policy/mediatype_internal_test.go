package policy

import (
	"bytes"
	"strings"
	"testing"
)

// Beginnings of files.
const (
	png  = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"
	jpeg = "\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01"
	tiff = "II*\x00\x08\x00\x00\x00"
	pdf  = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
	zip  = "PK\x03\x04\x14\x00\x00\x00\x08\x00\x00\x00!\x00\x01\x02\x03\x04\x05\x00\x00\x00\x05\x00\x00\x00\x05\x00\x00\x00a.txtabcde"
	docx = "PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00\x01\x02\x03\x04\x05\x00\x00\x00\x05\x00\x00\x00\x11\x00\x00\x00word/document.xml"
	wasm = "\x00asm\x01\x00\x00\x00"
	exe  = "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00"
	elf  = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00"
	html = "<!DOCTYPE html><html><script>alert(1)</script>"
	svg  = `<?xml version="1.0"?><!-- drawn --><svg xmlns="http://www.w3.org/2000/svg"/>`
	mp4  = "\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2"
	m4a  = "\x00\x00\x00\x18ftypM4A \x00\x00\x02\x00isomiso2"
	heic = "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"
	webm = "\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x86\x81\x01\x42\x82\x84webm"
	mp3  = "ID3\x04\x00\x00\x00\x00\x00\x00"
	gz   = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
	junk = "\xd3\x00\x91\x02\x7e\x1c\x00\xee\x05\x93"
)

func TestContradicts(t *testing.T) {
	for _, test := range []struct{ name, declared, head, want string }{
		{"the type itself", "image/png", png, ""},
		{"an alias", "application/x-pdf", pdf, ""},
		{"another image", "image/png", jpeg, "image/jpeg"},
		{"HTML as an image", "image/jpeg", html, "text/html"},
		{"HTML as an image of no known signature", "image/x-raw", html, "text/html"},
		{"HTML as SVG", "image/svg+xml", html, "text/html"},
		{"HTML after white space", "image/png", "\n\t  " + html, "text/html"},
		{"WebAssembly as an image", "image/png", wasm, "application/wasm"},
		{"WebAssembly as audio", "audio/mpeg", wasm, "application/wasm"},
		{"WebAssembly as text", "text/plain", wasm, "application/wasm"},
		{"WebAssembly as JSON", "application/json", wasm, "application/wasm"},
		{"a program as a document", "application/pdf", exe, "application/vnd.microsoft.portable-executable"},
		{"a program as an image of no known signature", "image/x-raw", elf, "application/x-sharedlib"},
		{"unknown bytes as a known type", "image/png", junk, "something unknown"},
		{"nothing as a known type", "image/png", "", "something unknown"},
		{"one byte of a known type", "image/png", png[:1], "text/plain"},
		{"unknown bytes as an unknown image", "image/x-raw", junk, ""},
		{"a raw image in another's container", "image/x-canon-cr2", tiff, ""},
		{"the usual wrong name of JPEG", "image/jpg", jpeg, ""},
		{"SVG", "image/svg+xml", svg, ""},
		{"SVG behind a long beginning", "image/svg+xml", `<?xml version="1.0"?><!--` + strings.Repeat("x", headBytes), ""},
		{"text as SVG", "image/svg+xml", "hello", "text/plain"},
		{"HEIC as HEIC", "image/heic", heic, ""},
		{"a document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", docx, ""},
		{"a document that shows only its container", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", zip, ""},
		{"a document as the container", "application/zip", docx, ""},
		{"another document", "application/epub+zip", docx, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"an archive as an image", "image/png", zip, "application/zip"},
		{"plain text", "text/plain", "hello, world", ""},
		{"text that begins like a program", "text/csv", "MZ,1\nBMW,2\n", ""},
		{"a program as text", "text/csv", exe, "application/vnd.microsoft.portable-executable"},
		{"one text as another", "text/csv", html, ""},
		{"text of an odd encoding", "text/plain", "h\x00e\x00l\x00l\x00o\x00", ""},
		{"no text at all", "text/plain", "", ""},
		{"half of a JSON text", "application/json", `{"a":[1,2`, ""},
		{"a vendor's JSON", "application/vnd.acme+json", `{"a":1}`, ""},
		{"gzip as text", "text/plain", gz, "application/gzip"},
		{"audio in a video's container", "audio/mp4", mp4, ""},
		{"video that says it is audio", "video/mp4", m4a, ""},
		{"a recorder's audio", "audio/webm", webm, ""},
		{"MP3", "audio/mpeg", mp3, ""},
		{"unknown bytes as audio", "audio/mpeg", junk, ""},
		{"HTML as video", "video/mp4", html, "text/html"},
		{"an application's own type", "application/x-acme", junk, ""},
		{"an application's own type in text", "application/x-acme", html, ""},
		{"octets", octets, exe, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			head := []byte(test.head)
			if got := contradicts(test.declared, head[:min(len(head), headBytes)]); got != test.want {
				t.Errorf("%s contradicts %s: %q, want %q", test.head, test.declared, got, test.want)
			}
		})
	}
}

// What a file is depends on its head only.
func TestContradictsFullHead(t *testing.T) {
	head := append([]byte(png), bytes.Repeat([]byte("<html>"), headBytes)...)[:headBytes]
	if got := contradicts("image/png", head); got != "" {
		t.Errorf("contradicted by %s", got)
	}
}

func FuzzContradicts(f *testing.F) {
	f.Add("image/png", []byte(html))
	f.Add("text/plain", []byte(png))
	f.Fuzz(func(t *testing.T, declared string, head []byte) {
		head = head[:min(len(head), headBytes)]
		parsed, ok := mediaType(declared)
		if !ok {
			return
		}
		if contradicts(octets, head) != "" {
			t.Error("something isn't octets")
		}
		if strings.HasPrefix(parsed, "image/") && contradicts(parsed, head) == "" && contradicts(parsed, []byte(html)) == "" {
			t.Errorf("HTML is fine as %s", parsed)
		}
	})
}
