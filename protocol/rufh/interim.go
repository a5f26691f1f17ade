package rufh

import (
	"maps"
	"net/http"

	"github.com/streamflow/streamflow/store"
)

// An interim sends the answers before the final one, to a client that
// understands them.
type interim struct {
	h       *Handler
	w       http.ResponseWriter
	r       *http.Request
	version int64 // 0: it doesn't
	// location is of an upload that this request begins, and that its client
	// doesn't know yet.
	location string
}

func (h *Handler) interim(w http.ResponseWriter, r *http.Request) *interim {
	i := &interim{h: h, w: w, r: r}
	if r.ProtoAtLeast(1, 1) { // HTTP/1.0 has none
		i.version = interop(r.Header)
	}
	return i
}

// progress returns what says where the upload is and how far it has come, or
// nil. Whoever hears the first may go on in another request at once.
func (i *interim) progress(info store.Info) func(offset int64) {
	if i.version == 0 {
		return nil
	}
	begun := false
	return func(offset int64) {
		switch {
		case begun:
			i.send(func(header http.Header) { header.Set(HeaderOffset, format(offset)) })
		case i.location != "":
			i.send(func(header http.Header) {
				header.Set("Location", i.location)
				i.h.setLimit(i.w, i.r, info)
			})
		}
		begun = true
	}
}

// send sends what set sets and nothing else: of the final answer's fields some
// would be wrong here.
func (i *interim) send(set func(http.Header)) {
	header := i.w.Header()
	final := maps.Clone(header)
	clear(header)
	header.Set(HeaderInterop, format(i.version))
	set(header)
	i.w.WriteHeader(StatusResumptionSupported)
	clear(header)
	maps.Copy(header, final)
}
