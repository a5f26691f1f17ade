package streamflow

import (
	"fmt"
	"log/slog"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Defaults of [Options].
const (
	DefaultChunkBytes = 1 << 20
	DefaultStreams    = 3
	DefaultRetries    = 3
)

// Bounds of [Options].
const (
	MinChunkBytes = 4 << 10
	MaxStreams    = 1 << 10
)

// Options of a [Manager]. The zero value works.
type Options struct {
	// Memory is the budget. Where nil, the Manager makes one of
	// memory.DefaultLimit and closes it at its end; pass one to share it.
	Memory *memory.Manager
	// ChunkBytes is the size of a unit: what a stream holds in memory until it
	// is acknowledged, and what a file is cut into where the destination takes
	// units in any order. Default 1 MiB, at least MinChunkBytes. A destination's own
	// limits override it; where they ask for more, units of a large file grow to
	// 16 MiB.
	ChunkBytes int64
	// Streams is the number of units under way in one upload. Default 3, at most
	// MaxStreams.
	Streams int
	// Retries is the number of failures in a row, without progress between
	// them, that end an upload, once they go on for 45 s. Default 3. Where
	// negative, the first failure ends it.
	Retries int
	// RateLimit is how many bytes all uploads together send in a second; 0 means
	// there is no limit.
	RateLimit int64
	// DisableChecksum turns off the CRC-32C that is computed while reading and
	// compared by the destination at the end.
	DisableChecksum bool
	// StateDir is the directory of the journal, which knows unfinished uploads
	// of files after this process has ended. It is made where it is missing, and New
	// fails where it can't be. Where empty, there is no journal, and what fails is
	// discarded.
	StateDir string
	// Destination is what the journal calls the destination, say its URL.
	// Required with StateDir.
	Destination string
	// Terms is what the destination, as it was opened, keeps with every object, say a
	// media type, in any words that tell one from another. What the journal knows to
	// be begun on others, or with other metadata, starts anew.
	Terms string
	// NoResume starts anew where the journal knows an unfinished upload, and
	// discards that one.
	NoResume bool
	// NoReplace leaves an object alone that has the name already: the upload ends
	// with store.ErrExists. What the journal knows to be begun otherwise starts anew.
	NoReplace bool
	// SkipIdentical sends no file that is at the destination already, with the
	// same name, length and CRC-32C; see Result.Identical. The destination must be
	// a store.Finder.
	SkipIdentical bool
	// Compression sends files compressed, and the destination puts their bytes back:
	// what is to stay compressed is for Encoders. It is done as far as it saves
	// anything, and not to files whose names say that they are compressed already.
	// Default: bytes go as they are. The destination
	// must say store.Limits.Compressed; a server that turns out not to take it gets
	// bytes as they are, and Logger a warning. RateLimit is of the bytes before.
	Compression store.Compression
	// Encoders make of every source what is stored of it, one after the other:
	// compression, then encryption. Default: none. What they make is held as a
	// stream is until it is acknowledged, so a broken connection costs nothing, but
	// a later upload of the same file starts anew.
	Encoders []Encoder
	// Logger takes what can't be returned: trouble that was survived.
	// Default: none.
	Logger *slog.Logger
}

// withDefaults returns a checked copy with every default filled in.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	if c.ChunkBytes == 0 {
		c.ChunkBytes = DefaultChunkBytes
	}
	if c.Streams == 0 {
		c.Streams = DefaultStreams
	}
	if c.Retries == 0 {
		c.Retries = DefaultRetries
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case c.ChunkBytes < MinChunkBytes:
		return c, fmt.Errorf("Options.ChunkBytes is %d: at least %d is needed", c.ChunkBytes, MinChunkBytes)
	case c.Streams < 0 || c.Streams > MaxStreams:
		return c, fmt.Errorf("Options.Streams is %d: it must be from 1 to %d", c.Streams, MaxStreams)
	case c.RateLimit < 0:
		return c, fmt.Errorf("Options.RateLimit is %d: it must not be negative", c.RateLimit)
	case c.Compression != store.Uncompressed && c.Compression != store.Gzip:
		return c, fmt.Errorf("Options.Compression is %d: it must be store.Uncompressed or store.Gzip", c.Compression)
	case c.StateDir != "" && c.Destination == "":
		return c, fmt.Errorf("Options.Destination is empty: the journal in Options.StateDir needs it")
	}
	return c, nil
}
