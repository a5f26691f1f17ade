package journal

import (
	"fmt"
	"os"
	"time"
)

// A Source identifies the content of a file without reading it.
type Source struct {
	Path    string    `json:"path"` // absolute
	Size    int64     `json:"size"` // bytes
	ModTime time.Time `json:"mod_time"`
	Inode   uint64    `json:"inode,omitempty"` // 0 where there is none
}

// Identify describes the file at the absolute path.
func Identify(path string, info os.FileInfo) Source {
	return Source{Path: path, Size: info.Size(), ModTime: info.ModTime().UTC(), Inode: inode(info)}
}

// Difference says how now differs from s, for a person, or "" where it doesn't.
func (s Source) Difference(now Source) string {
	switch {
	case s.Path != now.Path:
		return fmt.Sprintf("path was %s, is %s", s.Path, now.Path)
	case s.Size != now.Size:
		return fmt.Sprintf("size was %d bytes, is %d", s.Size, now.Size)
	case !s.ModTime.Equal(now.ModTime):
		return fmt.Sprintf("modified %s, was %s", now.ModTime.Format(time.RFC3339Nano), s.ModTime.Format(time.RFC3339Nano))
	case s.Inode != now.Inode:
		return "another file has taken its place"
	}
	return ""
}
