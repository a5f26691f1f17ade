// Package reload keeps what a program reads from files as new as the files.
//
// Use it for what may change while the program runs: tokens, keys,
// certificates. There is no goroutine and nothing to close: whoever asks for the
// value looks at the files, once a second at most. That also sees a file that
// another one was renamed over and a symbolic link that points elsewhere, as
// configuration managers do it, on file systems that tell nobody of changes.
//
// # Concurrency
//
// A [Value] is safe for concurrent use. Nobody waits for another one's look at
// the files.
package reload

import (
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"
)

// interval is how long a change may go unseen by those who ask.
const interval = time.Second

// unsettled is how young a file may be to change again without its time or size
// telling: file systems count time in steps.
const unsettled = 2 * time.Second

// A Value is what was last read from some files without an error.
type Value[T any] struct {
	load    func() (T, error)
	paths   []string
	logger  *slog.Logger
	current atomic.Pointer[version[T]]
	due     atomic.Int64 // when to look again, in Unix nanoseconds
}

// A version is immutable.
type version[T any] struct {
	value   T
	files   []os.FileInfo // nil for what couldn't be looked at
	settled bool          // a file that changes from now on looks different
}

// Open reads the value by load, and again whenever one of the files at paths
// has changed. If load fails then, the logger hears of it and the value stays.
func Open[T any](load func() (T, error), logger *slog.Logger, paths ...string) (*Value[T], error) {
	v := &Value[T]{load: load, paths: paths, logger: logger}
	if err := v.Reload(); err != nil {
		return nil, err
	}
	return v, nil
}

// Get returns the value.
func (v *Value[T]) Get() T {
	now, due := time.Now().UnixNano(), v.due.Load()
	if now >= due && v.due.CompareAndSwap(due, now+int64(interval)) {
		v.refresh()
	}
	return v.current.Load().value
}

// Reload reads the files now, changed or not. After an error the value stays as
// it was.
func (v *Value[T]) Reload() error {
	v.due.Store(time.Now().Add(interval).UnixNano())
	return v.read(v.look())
}

// refresh reads the files if they have changed, and logs how that went.
func (v *Value[T]) refresh() {
	last, files := v.current.Load(), v.look()
	changed := !slices.EqualFunc(last.files, files, same)
	if !changed && last.settled {
		return
	}
	err := v.read(files)
	switch {
	case err != nil:
		v.logger.Error("a changed file is not used, what it said before still holds", "files", v.paths, "error", err)
		// Once is enough: it is read again when it has changed again.
		v.current.Store(&version[T]{value: last.value, files: files, settled: true})
	case changed:
		v.logger.Info("a changed file was read", "files", v.paths)
	}
}

// read takes the state of the files from before it reads them: what changes
// meanwhile is seen the next time.
func (v *Value[T]) read(files []os.FileInfo) error {
	value, err := v.load()
	if err != nil {
		return err
	}
	v.current.Store(&version[T]{value: value, files: files, settled: settled(files)})
	return nil
}

func (v *Value[T]) look() []os.FileInfo {
	files := make([]os.FileInfo, len(v.paths))
	for i, path := range v.paths {
		files[i], _ = os.Stat(path) // nil is a state like any; load says why
	}
	return files
}

func same(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func settled(files []os.FileInfo) bool {
	return !slices.ContainsFunc(files, func(f os.FileInfo) bool {
		return f == nil || time.Since(f.ModTime()) < unsettled
	})
}
