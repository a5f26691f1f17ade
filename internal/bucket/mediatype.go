package bucket

import (
	"cmp"
	"mime"
	"net/http"
	"path"

	"github.com/streamflow/streamflow/store"
)

// anyBytes is the media type that says nothing.
const anyBytes = "application/octet-stream"

// MediaType is what the first bytes of an object say it is, of which 512 are
// looked at, or "".
func MediaType(head []byte) string {
	if len(head) == 0 {
		return ""
	}
	return http.DetectContentType(head)
}

// mediaType is what an object goes by: what the options say, or the client
// declared, or the extension of the name, or the first bytes.
func (o *ObjectOptions) mediaType(key string, object *Object) string {
	return cmp.Or(o.ContentType, declared(object.Metadata[store.MetadataFiletype]),
		mime.TypeByExtension(path.Ext(cmp.Or(object.Name, key))), object.Sniffed)
}

// declared returns a media type in its usual form, or "" for what is none.
func declared(text string) string {
	t, params, err := mime.ParseMediaType(text)
	if err != nil || t == anyBytes {
		return ""
	}
	return mime.FormatMediaType(t, params)
}
