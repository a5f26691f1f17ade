package filestore

import (
	"container/list"
	"errors"
	"sync"
)

// maxIdle is how many uploads keep their files open while they wait, for their
// source or for the disk. A process has thousands of such uploads, and maybe not
// three descriptors for each; and one that goes on at once shouldn't open its
// files each time.
const maxIdle = 128

// idle knows the uploads whose files are open between two changes.
type idle struct {
	mu      sync.Mutex
	waiting list.List // of *fence, the one that has waited longest first
}

// put notes that f, which has just changed, waits now, and has the upload that
// has waited longest close its files, if there are too many.
func (s *idle) put(f *fence) {
	if oldest := s.add(f); oldest != nil {
		oldest.rest()
	}
}

func (s *idle) add(f *fence) (oldest *fence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.place != nil {
		s.waiting.MoveToBack(f.place)
		return nil
	}
	f.place = s.waiting.PushBack(f)
	if s.waiting.Len() <= maxIdle {
		return nil
	}
	oldest = s.waiting.Remove(s.waiting.Front()).(*fence)
	oldest.place = nil
	return oldest
}

// close closes the files of all.
func (s *idle) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for place := s.waiting.Front(); place != nil; place = place.Next() {
		f := place.Value.(*fence)
		f.place = nil
		errs = append(errs, f.drop())
	}
	s.waiting.Init()
	return errors.Join(errs...)
}

// remove forgets f, whose files are closed.
func (s *idle) remove(f *fence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.place != nil {
		s.waiting.Remove(f.place)
		f.place = nil
	}
}
