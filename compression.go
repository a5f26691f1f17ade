package streamflow

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/streamflow/streamflow/store"
)

// compressedExtensions are of types that are compressed already. It costs little
// to try one that is missing here: the destination looks at what comes out.
var compressedExtensions = []string{
	".7z", ".aac", ".apk", ".avif", ".br", ".bz2", ".docx", ".epub", ".flac", ".gif", ".gz", ".heic", ".jar", ".jpeg",
	".jpg", ".jxl", ".lz4", ".m4a", ".m4v", ".mkv", ".mov", ".mp3", ".mp4", ".odt", ".ogg", ".opus", ".png", ".pptx",
	".rar", ".tgz", ".webm", ".webp", ".woff2", ".xlsx", ".xz", ".zip", ".zst",
}

func compressible(name string) bool {
	return !slices.Contains(compressedExtensions, strings.ToLower(path.Ext(name)))
}

// compress has the destination send the upload compressed, where that is wanted.
func (u *Upload) compress(ctx context.Context) error {
	if u.m.opts.Compression == store.Uncompressed || u.object.encoded || !compressible(u.src.name) {
		return nil
	}
	err := store.ErrUnsupported
	if c, ok := u.dest.(store.Compressor); ok {
		err = c.Compress(ctx, u.m.opts.Compression, func(bytes int64) { u.counters.saved.Add(bytes) })
	}
	if !errors.Is(err, store.ErrUnsupported) {
		return err
	}
	u.m.plain.Do(func() {
		u.m.opts.Logger.Warn("the destination takes nothing compressed: sending bytes as they are", "error", err)
	})
	return nil
}
