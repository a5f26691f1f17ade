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
	errs  []error // after done: one of each file, or of all
}

// SyncDirs is SyncDir for each: what had changed there when it was called survives a
// power loss once it has returned.
func (s *Syncer) SyncDirs(root *os.Root, names ...string) error {
	b, _ := s.do("dirs\x00"+strings.Join(names, "\x00"), nil, func([]*os.File) []error {
		var err error
		for _, name := range names {
			err = errors.Join(err, SyncDir(root, name))
		}
		return []error{err}
	})
	return b.errs[0]
}

// SyncFiles is the function of that name. It is for small files: all wait until those
// of the others are written.
func (s *Syncer) SyncFiles(files ...*os.File) error {
	b, first := s.do("", files, syncFiles)
	return errors.Join(b.errs[first : first+len(files)]...)
}

// do has sync called once for all who join the next batch of a group, and returns that
// batch when it is done, and where in it the files are.
func (s *Syncer) do(name string, files []*os.File, sync func([]*os.File) []error) (b *batch, at int) {
	g, b, at, first := s.join(name, files)
	if first {
		g.turn <- struct{}{}
		s.begin(g)
		b.errs = sync(b.files)
		<-g.turn
		close(b.done)
	}
	<-b.done
	s.leave(name, g)
	return b, at
}

// join adds files to the next batch of a group, and says whether the caller has to
// sync it.
func (s *Syncer) join(name string, files []*os.File) (g *group, b *batch, at int, first bool) {
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
	if first = g.next == nil; first {
		g.next = &batch{done: make(chan struct{})}
	}
	b = g.next
	at = len(b.files)
	b.files = append(b.files, files...)
	return g, b, at, first
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
