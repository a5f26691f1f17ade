package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// source makes a file of size bytes that nothing on the way can compress, and
// keeps it until the bench closes.
func (b *bench) source(name string, size int64) (string, error) {
	path := filepath.Join(b.work, name)
	file, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("make a source: %w", err)
	}
	defer file.Close()
	random := rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, b.seed, name)))
	if _, err := io.CopyBuffer(struct{ io.Writer }{file}, io.LimitReader(random, size), make([]byte, mib)); err != nil {
		return "", fmt.Errorf("make a source: %w", err)
	}
	return path, nil
}

// evict takes the file out of the page cache, so that whoever reads it next
// pays for its pages.
func evict(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("evict: %w", err)
	}
	defer file.Close()
	if err := errors.Join(unix.Fsync(int(file.Fd())), unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
		return fmt.Errorf("evict %s: %w", path, err)
	}
	return nil
}

// pipe opens the file so that exec feeds it through a pipe: what the child
// gets can neither be read twice nor asked for its length.
func pipe(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the source: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{struct{ io.Reader }{file}, file}, nil
}

// verify looks for the source in a store: exactly one file of its size, with
// its bytes.
func verify(source, store string) error {
	want, err := os.Stat(source)
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	var found []string
	err = filepath.WalkDir(store, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() == want.Size() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	if len(found) != 1 {
		return fmt.Errorf("verify: %d files of %d bytes in the store, want 1", len(found), want.Size())
	}
	return same(source, found[0])
}

var errDiffer = errors.New("the bytes differ")

// same compares two files byte by byte.
func same(a, b string) error { return sameBeginning(a, b, math.MaxInt64) }

// sameBeginning compares the first n bytes of a file with all of another.
func sameBeginning(a, b string, n int64) error {
	left, err := os.Open(a)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	defer left.Close()
	right, err := os.Open(b)
	if err != nil {
		return fmt.Errorf("compare: %w", err)
	}
	defer right.Close()
	beginning := io.LimitReader(left, n)
	x, y := make([]byte, mib), make([]byte, mib)
	for off := int64(0); ; off += mib {
		n, errLeft := io.ReadFull(beginning, x)
		m, errRight := io.ReadFull(right, y)
		if !bytes.Equal(x[:n], y[:m]) {
			return fmt.Errorf("compare %s and %s after byte %d: %w", a, b, off, errDiffer)
		}
		if errLeft != nil || errRight != nil {
			return endOf(errLeft, errRight)
		}
	}
}

func endOf(errs ...error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("compare: %w", err)
		}
	}
	return nil
}

// emptyDir makes name in the working directory anew.
func (b *bench) emptyDir(name string) (string, error) {
	path := filepath.Join(b.work, name)
	if err := os.RemoveAll(path); err != nil {
		return "", fmt.Errorf("empty %s: %w", path, err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", path, err)
	}
	return path, nil
}

// freshDir makes a directory that is removed with the working directory only, and
// has what was written before be on disk. After 100,000 files have been removed or
// while they are written back, ext4 makes new ones at a third of its speed.
func (b *bench) freshDir(name string) (string, error) {
	path, err := os.MkdirTemp(b.work, name+"-")
	if err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	syscall.Sync()
	return path, nil
}
