package policy

import (
	"slices"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

// headBytes are looked at of a file: what mimetype looks at.
const headBytes = 4 << 10

const octets = "application/octet-stream"

// contradicts returns what the first bytes of a file show it to be, if that
// can't be the declared type; else "". The head has headBytes, or all there are.
//
//   - application/octet-stream is anything.
//   - Text, in the wide sense of JSON, XML and scripts, is anything that reads as
//     text or has no known signature: one kind of text isn't told from another.
//   - Audio and video are any audio or video, as containers are shared between
//     them, or have no known signature.
//   - Another type of known signature has that, or the one of the container that
//     it is made of: a document may only show that it is a zip archive. A more
//     special type is fine where the container is declared.
//   - An image of a type without a known signature has another image's, or none.
//   - About any other type nothing is known, so nothing contradicts it.
func contradicts(declared string, head []byte) string {
	found := chain(mimetype.Detect(head))
	if len(head) == 0 {
		found = nil
	}
	known := chain(mimetype.Lookup(declared))
	top, _, _ := strings.Cut(declared, "/")
	var fine bool
	switch is := func(m *mimetype.MIME) bool { return m.Is(declared) }; {
	case declared == octets || slices.ContainsFunc(found, is):
		fine = true
	case isTextual(declared, known):
		fine = len(found) == 0 || readsAsText(head) || isText(found[len(found)-1])
	case top == "audio" || top == "video":
		fine = len(found) == 0 || slices.ContainsFunc(found, isMedia)
	case len(known) > 0:
		fine = len(found) > 0 && isContainer(found[0], known)
	case top == "image":
		fine = len(found) == 0 || slices.ContainsFunc(found, isImage)
	default:
		fine = true
	}
	switch {
	case fine:
		return ""
	case len(found) == 0:
		return "something unknown"
	default:
		name, _, _ := strings.Cut(found[0].String(), ";")
		return name
	}
}

// chain is a type and what it is a special case of, without the root, which
// everything is.
func chain(m *mimetype.MIME) []*mimetype.MIME {
	var types []*mimetype.MIME
	for ; m != nil && !m.Is(octets); m = m.Parent() {
		types = append(types, m)
	}
	return types
}

func isText(m *mimetype.MIME) bool { return m.Is("text/plain") }

func isImage(m *mimetype.MIME) bool { return strings.HasPrefix(m.String(), "image/") }

func isMedia(m *mimetype.MIME) bool {
	return strings.HasPrefix(m.String(), "audio/") || strings.HasPrefix(m.String(), "video/") || m.Is("application/ogg")
}

// isContainer says whether m is what the known type is made of. Of an image
// that is text, which shows nothing, only XML does.
func isContainer(m *mimetype.MIME, known []*mimetype.MIME) bool {
	if m.Is("text/xml") && strings.HasSuffix(known[0].String(), "+xml") {
		return true
	}
	return !isText(m) && slices.ContainsFunc(known[1:], func(k *mimetype.MIME) bool { return k.Is(m.String()) })
}

// isTextual says whether a declared type is text, images that are text aside.
func isTextual(declared string, known []*mimetype.MIME) bool {
	top, sub, _ := strings.Cut(declared, "/")
	switch {
	case top == "text":
		return true
	case top == "image":
		return false
	case len(known) > 0:
		return isText(known[len(known)-1])
	default:
		return strings.HasSuffix(sub, "+json") || strings.HasSuffix(sub, "+xml")
	}
}

// readsAsText: some signatures are two letters that a text may begin with. These
// bytes are in no text (WHATWG MIME Sniffing, binary data bytes).
func readsAsText(head []byte) bool {
	return !slices.ContainsFunc(head, func(b byte) bool {
		return b <= 0x08 || b == 0x0b || 0x0e <= b && b <= 0x1a || 0x1c <= b && b <= 0x1f
	})
}
