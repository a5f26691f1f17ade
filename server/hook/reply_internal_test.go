package hook

import (
	"strings"
	"testing"
	"unicode"

	"github.com/streamflow/streamflow/store"
)

// Whatever a hook replies, what comes of it is a status from 400 to 599, one
// line of text, and metadata that a client could have sent.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"refuse": {"status": 422, "code": "MALWARE", "message": "a\nb"}}`, `{"name": "x", "metadata": {"a": null, "b": "c"}}`,
		`{"metadata": {"a b": "c"}}`, `null`, `{"refuse": null}`, `[]`, `{"refuse": {"status": 1e9}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseReply(PreCreate, body)
		if err != nil {
			return
		}
		if r.Refuse != nil {
			refusal := r.Refuse.refusal()
			if refusal.Status < 400 || refusal.Status > 599 || refusal.Code == "" || strings.ContainsFunc(refusal.Detail, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("refusal is %+v", refusal)
			}
			return
		}
		spec := store.Spec{Name: "n", Metadata: map[string]string{"filename": "n", "tus concat": "partial"}}
		if err := r.apply(&spec); err != nil {
			return
		}
		for key := range spec.Metadata {
			if strings.ContainsAny(key, " ,\n") && key != "tus concat" {
				t.Errorf("key %q", key)
			}
		}
		if spec.Metadata["tus concat"] != "partial" || spec.Name != spec.Metadata["filename"] {
			t.Errorf("upload is %+v", spec)
		}
	})
}
