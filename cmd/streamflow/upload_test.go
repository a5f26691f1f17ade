package main

import (
	"testing"

	"github.com/streamflow/streamflow/internal/bytesize"
)

func TestWiden(t *testing.T) {
	const narrow, wide = 1 * bytesize.MiB, 15 * bytesize.MiB / 2
	for name, c := range map[string]struct {
		flags   []string
		bytes   int64
		streams int
	}{
		"by default":         {nil, wide, 2},
		"as little as works": {[]string{"--max-memory", "60MiB"}, wide, 2},
		"too little":         {[]string{"--max-memory", "59MiB"}, narrow, 0},
		"chunks are given":   {[]string{"--chunk-size", "6MiB"}, 6 * bytesize.MiB, 0},
		"streams are given":  {[]string{"--streams", "3"}, narrow, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var f uploadFlags
			flags := f.group().flags
			flags.AddFlagSet(f.memory.group().flags)
			if err := flags.Parse(c.flags); err != nil {
				t.Fatal(err)
			}
			opts := f.options(encoding{})
			f.widen(flags, &opts)
			if opts.ChunkBytes != c.bytes || opts.Streams != c.streams {
				t.Errorf("%d chunks of %d bytes, want %d of %d", opts.Streams, opts.ChunkBytes, c.streams, c.bytes)
			}
		})
	}
}
