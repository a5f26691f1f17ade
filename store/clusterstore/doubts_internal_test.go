package clusterstore

import (
	"testing"
	"testing/synctest"
	"time"
)

// Uploads that nobody goes on with must not fill the memory of a server.
func TestDoubtsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d doubts
		for range 100 {
			d.note("old")
			time.Sleep(doubtLasts / 50)
		}
		d.note("over")
		if !d.has("old") || !d.has("over") {
			t.Fatal("a doubt ended too soon")
		}
		d.forget("over")
		if d.has("over") {
			t.Error("what is forgotten is doubted")
		}
		time.Sleep(doubtLasts + 1)
		d.note("new")
		if d.has("old") || !d.has("new") || len(d.since) != 1 {
			t.Errorf("an hour later there are doubts %v", d.since)
		}
	})
}
