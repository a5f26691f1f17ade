package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow"
)

// Of many files plain progress tells what is done, not only where one of them is.
func TestPlainProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out, said strings.Builder
		p := &plainProgress{results: resultsTo(&out), console: &console{w: &said}}
		u := new(streamflow.Upload)
		moved := streamflow.Progress{Upload: u, Percentage: 50, BytesUploaded: 4, TotalBytes: 8, Remaining: -1}
		p.started("a", u)
		p.event(moved)
		time.Sleep(plainInterval)
		p.event(moved)
		p.finished("a", u, streamflow.Result{Location: "/there/a", Bytes: 8})
		p.finished("b", u, streamflow.Result{Location: "/there/b", Bytes: 1024})
		p.event(moved)
		time.Sleep(plainInterval)
		p.event(moved)
		if err := p.close(summary{}); err != nil {
			t.Fatal(err)
		}
		if got, want := said.String(), ": 50 % of 8B, 0B/s\n2 files, 1KiB done; : 50 % of 8B, 0B/s\n"; got != want {
			t.Errorf("said %q, want %q", got, want)
		}
		if got, want := out.String(), "/there/a\n/there/b\n"; got != want {
			t.Errorf("results are %q, want %q", got, want)
		}
	})
}
