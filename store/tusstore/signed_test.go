package tusstore_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
	"github.com/streamflow/streamflow/store/tusstore"
)

// Who has a signed URL may use it, so no error shows more than where it leads.
func TestErrorsHideSignatures(t *testing.T) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	for name, location := range map[string]string{
		"refused": "", "moved": "http://other.example/files/?grant=hidden", "moved by path": "/elsewhere/?grant=hidden", "broken": "http://other.example/%zz?grant=hidden",
	} {
		t.Run(name, func(t *testing.T) {
			serve := answer
			if location != "" {
				serve = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Location", location)
					w.WriteHeader(http.StatusPermanentRedirect)
				}
			}
			for _, method := range []string{"POST", "HEAD", "PATCH", "DELETE"} {
				_, err := call(t, answers(t, method, serve), method)
				if err == nil || strings.Contains(err.Error(), "hidden") {
					t.Errorf("%s: error is %v", method, err)
				}
			}
		})
	}
	st := open(t, "http://127.0.0.1:1/files/?grant=hidden", nil)
	if _, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 10}); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("nobody there: %v", err)
	}
	mem := newMemory(t)
	release := storetest.Crowd(t, mem)
	if _, err := tusstore.Open("http://host/?grant=hidden", mem, nil); !errors.Is(err, memory.ErrFull) || strings.Contains(err.Error(), "hidden") {
		t.Errorf("no memory to open: %v", err)
	}
	release()
	if _, err := st.Stat(t.Context(), "http://me:hidden@host/?grant=hidden"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("no id: %v", err)
	}
}
