package journal

import (
	"fmt"
	"os"
	"time"
)

// An Identity is what tells files and their versions apart without reading them.
type Identity struct {
	Path    string    `json:"path"` // absolute
	Size    int64     `json:"size"` // bytes
	ModTime time.Time `json:"mod_time"`
	Inode   uint64    `json:"inode,omitempty"` // 0 where there is none
}

// Identify describes the file at the absolute path.
func Identify(path string, info os.FileInfo) Identity {
	return Identity{Path: path, Size: info.Size(), ModTime: info.ModTime().UTC(), Inode: inode(info)}
}

// Difference says how now differs from i, for a person, or "" where it doesn't.
func (i Identity) Difference(now Identity) string {
	switch {
	case i.Path != now.Path:
		return fmt.Sprintf("path was %s, is %s", i.Path, now.Path)
	case i.Size != now.Size:
		return fmt.Sprintf("size was %d bytes, is %d", i.Size, now.Size)
	case !i.ModTime.Equal(now.ModTime):
		return fmt.Sprintf("modified %s, was %s", now.ModTime.Format(time.RFC3339Nano), i.ModTime.Format(time.RFC3339Nano))
	case i.Inode != now.Inode:
		return "another file has taken its place"
	}
	return ""
}
