package streamflow

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/store"
)

// A Source is what is uploaded: a file, read where it lies and never held in
// memory, or a stream, read once. One Source is for one upload.
type Source struct {
	name     string
	metadata map[string]string
	// file and identity are set for a file,
	file     *os.File
	identity journal.Identity
	// stream for a stream.
	stream io.Reader
	close  func() error           // once
	taken  func(name string) bool // or nil
}

// OpenFile opens a regular file as a source, named by the last element of path.
// A missing, unreadable or irregular one is a *[SourceError].
func OpenFile(path string) (*Source, error) {
	s, err := openFile(path)
	if err != nil {
		return nil, &SourceError{Name: path, Err: err}
	}
	return s, nil
}

func openFile(path string) (*Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// Looked at before it is opened: opening a named pipe would block.
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file: %s", kindOf(info.Mode()))
	}
	f, err := os.Open(abs)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Source{
		name:     filepath.Base(abs),
		file:     f,
		identity: journal.Identify(abs, info),
		close:    sync.OnceValue(f.Close),
	}, nil
}

func kindOf(m os.FileMode) string {
	switch {
	case m.IsDir():
		return "it is a directory"
	case m&os.ModeNamedPipe != 0:
		return "it is a named pipe"
	case m&os.ModeSocket != 0:
		return "it is a socket"
	default:
		return "it is a device"
	}
}

// Stream returns a source that reads r once, to its end. Its bytes are held in
// memory, unit by unit, until the destination has acknowledged them.
//
// Where r is an io.Closer, it is closed when the upload ends, also to wake a
// Read that waits. An upload waits for a Read under way, so a reader that can't
// be woken keeps a cancelled upload from ending.
func Stream(name string, r io.Reader) *Source {
	s := &Source{name: name, stream: r, close: func() error { return nil }}
	if c, ok := r.(io.Closer); ok {
		s.close = sync.OnceValue(c.Close)
	}
	return s
}

// Name is what the object will be called: a slash-separated relative path.
func (s *Source) Name() string { return s.name }

// SetName changes the name. Call it before the upload begins.
func (s *Source) SetName(name string) { s.name = name }

// SetMetadata sets what the destination keeps beside the object, as far as it
// can. Call it before the upload begins.
func (s *Source) SetMetadata(m map[string]string) { s.metadata = m }

// SetTaken has the upload ask which names other uploads have, beside those of files
// next to its own: a [Compressor] never gives an object one of them. Call it before
// the upload begins.
func (s *Source) SetTaken(taken func(name string) bool) { s.taken = taken }

// Size in bytes, or store.UnknownLength for a stream.
func (s *Source) Size() int64 {
	if s.file == nil {
		return store.UnknownLength
	}
	return s.identity.Size
}

// Close closes the file, or the stream where it is an io.Closer. An upload
// closes its source itself; again is fine.
func (s *Source) Close() error { return s.close() }

// isTaken reports whether the source's name is that of another one, too, with
// extension behind it, or the file's path is that of another file.
func (s *Source) isTaken(extension string) bool {
	if s.taken != nil && s.taken(s.name+extension) {
		return true
	}
	if s.file == nil {
		return false
	}
	_, err := os.Lstat(s.identity.Path + extension)
	return err == nil
}

// check returns an error that is ErrSourceChanged where the file isn't what it
// was when it was opened. A stream can't be checked.
func (s *Source) check() error {
	if s.file == nil {
		return nil
	}
	info, err := s.file.Stat()
	if err != nil {
		return &SourceError{Name: s.name, Err: err}
	}
	now := journal.Identify(s.identity.Path, info)
	if diff := s.identity.Difference(now); diff != "" {
		return &SourceError{Name: s.name, Err: fmt.Errorf("%w: %s", ErrSourceChanged, diff)}
	}
	return nil
}
