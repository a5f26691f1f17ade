package main

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/streamflow/streamflow/internal/tree"
)

// A forecast counts what there is to upload, ahead of the uploads: a tree is
// walked a second time for it, so that nothing of it is held.
type forecast struct {
	files, bytes atomic.Int64 // so far
	unknown      atomic.Bool  // a stream may have any size

	ended   atomic.Bool
	walking sync.WaitGroup
}

func newForecast(of sources) *forecast {
	f := &forecast{}
	f.unknown.Store(of.openEnded)
	f.walking.Go(func() {
		for src, err := range of.all() {
			if f.ended.Load() {
				return
			}
			if errors.Is(err, tree.ErrSkipped) {
				continue
			}
			f.files.Add(1)
			if src.size < 0 {
				f.unknown.Store(true)
			}
			f.bytes.Add(max(0, src.size))
		}
	})
	return f
}

// total is the number of bytes, or 0 while that is unknown.
func (f *forecast) total() int64 {
	if f.unknown.Load() {
		return 0
	}
	return f.bytes.Load()
}

// close ends the counting.
func (f *forecast) close() {
	f.ended.Store(true)
	f.walking.Wait()
}
