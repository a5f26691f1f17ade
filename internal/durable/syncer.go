package durable

import (
	"errors"
	"os"
	"strings"
	"sync"
)

// A Syncer syncs for many at once: who asks while a sync is under way waits for the
// next one, together with all others who have asked by then. A file system with a
// journal makes one commit for all of them. The zero value works. It is safe for
// concurrent use.
type Syncer struct {
	mu     sync.Mutex
	groups map[string]*group // those that somebody waits for
}

// A group is of those who share syncs.
type group struct {
	turn  chan struct{} // holds the token of who syncs
	next  *batch        // not begun, or nil; guarded by Syncer.mu
	users int           // guarded by Syncer.mu
}

// A batch is one sync that several wait for.
type batch struct {
	files []*os.File // guarded by Syncer.mu until it begins
	done  chan struct{}
	// After done:
	fileErrs []error // one of each file
	dirErr   error   // of all
}

// Sync makes the content of files survive a power loss, and then the entries of
// directories in root: what had changed when it was called. It is for small files:
// all who name the same directories wait until those of the others are written.
func (s *Syncer) Sync(root *os.Root, dirs []string, files ...*os.File) error {
	b, first := s.do(strings.Join(dirs, "\x00"), files, func(b *batch) {
		b.fileErrs = syncFiles(b.files)
		for _, dir := range dirs {
			b.dirErr = errors.Join(b.dirErr, SyncDir(root, dir))
		}
	})
	return errors.Join(errors.Join(b.fileErrs[first:first+len(files)]...), b.dirErr)
}

// do has sync called once for all who join the next batch of a group, and returns that
// batch when it is done, and where in it the files are.
func (s *Syncer) do(name string, files []*os.File, sync func(*batch)) (b *batch, first int) {
	g, b, first, leads := s.join(name, files)
	if leads {
		g.turn <- struct{}{}
		s.begin(g)
		sync(b)
		<-g.turn
		close(b.done)
	}
	<-b.done
	s.leave(name, g)
	return b, first
}

// join adds files to the next batch of a group, and says where they are in it, and
// whether the caller has to sync it.
func (s *Syncer) join(name string, files []*os.File) (g *group, b *batch, first int, leads bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g = s.groups[name]; g == nil {
		if s.groups == nil {
			s.groups = make(map[string]*group)
		}
		g = &group{turn: make(chan struct{}, 1)}
		s.groups[name] = g
	}
	g.users++
	if leads = g.next == nil; leads {
		g.next = &batch{done: make(chan struct{})}
	}
	b = g.next
	first = len(b.files)
	b.files = append(b.files, files...)
	return g, b, first, leads
}

// begin lets nobody join the next batch any more: it may miss what they changed.
func (s *Syncer) begin(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.next = nil
}

func (s *Syncer) leave(name string, g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(s.groups, name)
	}
}
