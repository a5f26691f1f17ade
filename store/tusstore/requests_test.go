package tusstore_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
	"github.com/streamflow/streamflow/store/tusstore"
)

// A requestLog notes the methods that a server is asked by.
type requestLog struct {
	mu      sync.Mutex
	methods []string
}

func (l *requestLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	methods := l.methods
	l.methods = nil
	return methods
}

func TestRequestsOfAnUpload(t *testing.T) {
	const text = "hello, world"
	for name, c := range map[string]struct {
		length   int64 // at first
		noDigest bool  // the server gives none on PATCH
		want     []string
	}{
		"whole":              {length: int64(len(text)), want: []string{"POST", "PATCH"}},
		"of unknown length":  {length: store.UnknownLength, want: []string{"POST", "PATCH", "PATCH"}},
		"no digest on PATCH": {length: int64(len(text)), noDigest: true, want: []string{"POST", "PATCH", "HEAD"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log requestLog
			_, url := startServer(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					log.mu.Lock()
					log.methods = append(log.methods, r.Method)
					log.mu.Unlock()
					if c.noDigest && r.Method == "PATCH" {
						r.Header.Del(protocol.HeaderWantReprDigest)
					}
					h.ServeHTTP(w, r)
				})
			})
			st := open(t, url, nil)
			u, created, err := st.Create(t.Context(), store.Spec{Name: "x", Length: c.length})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := u.Write(t.Context(), 0, strings.NewReader(text), int64(len(text))); err != nil {
				t.Fatal(err)
			}
			if err := u.SetLength(t.Context(), int64(len(text))); err != nil {
				t.Fatal(err)
			}
			if _, err := u.Finish(t.Context(), store.Sum{CRC32C: 1, Known: true}); !errors.Is(err, store.ErrChecksum) {
				t.Errorf("with a wrong sum: %v", err)
			}
			if got := log.take(); !slices.Equal(got, c.want) {
				t.Errorf("requests %q, want %q", got, c.want)
			}
			info, err := u.Finish(t.Context(), store.Sum{})
			if err != nil || !info.Complete || info.ID != created.ID || info.Name != "x" || info.Offset != int64(len(text)) || !info.Sum.Known {
				t.Errorf("finished: %+v, %v", info, err)
			}
			log.take()
			if _, opened, err := st.Open(t.Context(), created.ID); err != nil || opened.Offset != info.Offset {
				t.Errorf("opened: %+v, %v", opened, err)
			}
			if got := log.take(); !slices.Equal(got, []string{"HEAD"}) {
				t.Errorf("requests of Open %q", got)
			}
			if err := u.Abort(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := u.Finish(t.Context(), store.Sum{}); err == nil {
				t.Error("finished what was aborted")
			}
		})
	}
}

func TestOpenNeedsMemory(t *testing.T) {
	if _, err := tusstore.Open("http://127.0.0.1/files/", nil, nil); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("error is %v", err)
	}
}

// TestWriteInFullMemory: who holds the unit may be who somebody waits for.
func TestWriteInFullMemory(t *testing.T) {
	_, url := startServer(t, nil)
	mem := newMemory(t)
	st, err := tusstore.Open(url, mem, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { check(t, st.Close()) })
	u, _, err := st.Create(t.Context(), store.Spec{Name: "x", Length: 3})
	if err != nil {
		t.Fatal(err)
	}
	release := storetest.Crowd(t, mem)
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = u.Write(ctx, 0, strings.NewReader("all"), 3)
	check(t, err)
}
