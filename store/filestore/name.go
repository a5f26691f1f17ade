package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/streamflow/streamflow/store"
)

// StateDir is where uploads under way lie, within the store's directory.
const StateDir = ".streamflow"

const stateDir = StateDir

// maxElementBytes is what the file systems in use take for one path element.
const maxElementBytes = 255

func partName(id string) string { return id + ".part" }

func logName(id string) string { return id + ".log" }

// checkName says whether name can be a file's path in the store. Every byte
// but NUL and slash is legal in an element.
func checkName(name string) error {
	problem := ""
	switch {
	case name == "":
		problem = "is empty"
	case strings.HasPrefix(name, "/"):
		problem = "is absolute"
	case strings.ContainsRune(name, 0):
		problem = "contains a NUL"
	case !filepath.IsLocal(filepath.FromSlash(name)):
		problem = "is not a path within the destination"
	case filepath.Separator != '/' && strings.ContainsRune(name, filepath.Separator):
		problem = "contains a backslash, which separates directories here"
	}
	first, _, _ := strings.Cut(name, "/")
	if strings.EqualFold(first, stateDir) {
		problem = "is in a directory reserved for uploads under way"
	}
	for element := range strings.SplitSeq(name, "/") {
		switch {
		case problem != "":
		case element == "" || element == "." || element == "..":
			problem = "has an element that is empty, . or .."
		case len(element) > maxElementBytes:
			problem = fmt.Sprintf("has an element of %d bytes, more than %d", len(element), maxElementBytes)
		}
	}
	if problem != "" {
		return fmt.Errorf("name %s: %w", problem, store.ErrInvalid)
	}
	return nil
}

// checkTarget says whether an upload may become the file called name.
func (s *Store) checkTarget(name string, noReplace bool) error {
	if err := checkName(name); err != nil {
		return err
	}
	info, err := s.root.Lstat(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission), outOfDescriptors(err):
		return err // says nothing about the name
	case err != nil:
		return fmt.Errorf("name can't be used here: %w: %w", store.ErrInvalid, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("name is taken by something that is not a regular file: %w", store.ErrInvalid)
	case noReplace:
		return fmt.Errorf("name is taken: %w", store.ErrExists)
	}
	return nil
}
