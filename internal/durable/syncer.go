package durable

import (
	"os"
	"path"
	"sync"
)

// A Syncer syncs directories for many at once: who asks while a sync is under
// way waits for the next one, together with all others who have asked by then.
// The zero value works. It is safe for concurrent use.
type Syncer struct {
	mu   sync.Mutex
	dirs map[string]*dirSync // those that somebody waits for
}

// A dirSync is what goes on with one directory.
type dirSync struct {
	turn  chan struct{} // holds the token of who syncs
	next  *shared       // not begun, or nil; guarded by Syncer.mu
	users int           // guarded by Syncer.mu
}

// A shared sync is one that several wait for.
type shared struct {
	done chan struct{}
	err  error // after done
}

// SyncDir is the function of that name: what had changed when it was called
// survives a power loss once it has returned.
func (s *Syncer) SyncDir(root *os.Root, name string) error {
	return s.do(path.Clean(name), func() error { return SyncDir(root, name) })
}

func (s *Syncer) do(name string, sync func() error) error {
	d, mine, first := s.join(name)
	if first {
		d.turn <- struct{}{}
		s.begin(d)
		mine.err = sync()
		<-d.turn
		close(mine.done)
	}
	<-mine.done
	s.leave(name, d)
	return mine.err
}

// join returns the next sync of a directory, and whether the caller has to make
// it.
func (s *Syncer) join(name string) (d *dirSync, mine *shared, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d = s.dirs[name]; d == nil {
		if s.dirs == nil {
			s.dirs = make(map[string]*dirSync)
		}
		d = &dirSync{turn: make(chan struct{}, 1)}
		s.dirs[name] = d
	}
	d.users++
	if first = d.next == nil; first {
		d.next = &shared{done: make(chan struct{})}
	}
	return d, d.next, first
}

// begin lets nobody join the next sync any more: it may miss what they changed.
func (s *Syncer) begin(d *dirSync) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.next = nil
}

func (s *Syncer) leave(name string, d *dirSync) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.users--; d.users == 0 {
		delete(s.dirs, name)
	}
}
