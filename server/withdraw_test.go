package server_test

import (
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/storetest"
)

// TestWithdraw: what a refused request has begun goes, but nothing that another one
// has made of it before it does.
func TestWithdraw(t *testing.T) { overStores(t, withdraw) }

func withdraw(t *testing.T, newRig func(*testing.T, *server.Options) *rig) {
	for name, c := range map[string]struct {
		left  int64  // where the request left it
		since string // and what came since
		stays bool
	}{
		"nothing came":      {0, "", false},
		"some came before":  {5, "", false},
		"some came":         {0, "01234", true},
		"some more came":    {5, "567", true},
		"all came":          {0, "0123456789", true},
		"the last byte did": {9, "9", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			upload := r.create("Upload-Length", "10")
			for i, chunk := range []string{"0123456789"[:c.left], c.since} {
				if chunk == "" {
					continue
				}
				resp, text := r.patch(upload, []string{"0", strconv.FormatInt(c.left, 10)}[i], strings.NewReader(chunk))
				if resp.StatusCode != http.StatusNoContent {
					t.Fatalf("%s %s", resp.Status, text)
				}
			}
			refused, err := http.NewRequestWithContext(t.Context(), "POST", "/files/", nil)
			r.must(err)
			r.server.Withdraw(refused, store.Info{ID: path.Base(upload), Offset: c.left})
			resp, _ := r.do("HEAD", upload, nil)
			if stays := resp.StatusCode == http.StatusOK; stays != c.stays {
				t.Errorf("then HEAD is %s", resp.Status)
			}
		})
	}
}

// TestWithdrawPutOff: of one byte that is there, and isn't finished, the client hears
// nothing.
func TestWithdrawPutOff(t *testing.T) {
	inner := newRig(t, nil)
	faulty := storetest.NewFaulty(inner.files)
	r := newRigOver(t, faulty, inner.mem, nil)
	r.files = inner.files
	faulty.Add(storetest.Fault{Op: storetest.OpFinish, Call: 1, Err: store.Transient(errors.New("disk busy"))})
	resp, text := r.do("POST", "/files/", strings.NewReader("a"), "Upload-Length", "1", "Content-Type", tus.ContentType)
	r.wantProblem(resp, text, http.StatusServiceUnavailable, "UNAVAILABLE")
	if n := r.unfinished(); n != 0 {
		t.Errorf("%d uploads stay", n)
	}
}
