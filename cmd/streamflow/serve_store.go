package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/filestore"
)

// storeFlags say where a server keeps its uploads: in a directory, or in a bucket
// that it shares with other nodes.
type storeFlags struct {
	at   string
	sync bool
	s3   s3Flags

	bucket, prefix string // of a bucket, once checked
}

// add adds those that are in the group of the server.
func (f *storeFlags) add(g flagGroup) {
	g.flags.StringVar(&f.at, "store", "./streamflow-data", "`DIR` that keeps the uploads, made if missing, or s3://BUCKET/PREFIX, which nodes may share")
	g.flags.BoolVar(&f.sync, "sync", false, "sync to disk before each acknowledgement, to survive power loss in the middle of an upload")
}

func (f *storeFlags) check(cmd *cobra.Command) error {
	scheme, _, isURL := strings.Cut(f.at, "://")
	if !isURL {
		return nil
	}
	if !strings.EqualFold(scheme, "s3") {
		return usagef(cmd, "--store %s: want a directory, or s3://BUCKET/PREFIX", masked(f.at))
	}
	d, err := parseBucket(cmd, f.at)
	if err != nil {
		return err
	}
	f.bucket, f.prefix = d.bucket, d.prefix
	return nil
}

func (f *storeFlags) open(ctx context.Context, mem *memory.Manager, logger *slog.Logger) (st closingStore, err error) {
	if f.bucket != "" {
		st, err = f.s3.openShared(ctx, f.bucket, f.prefix, mem)
	} else {
		st, err = filestore.Open(f.at, mem, &filestore.Options{ByID: true, SyncAcks: f.sync, Logger: logger})
	}
	if err != nil {
		return nil, fmt.Errorf("--store %s: %w", f.at, err)
	}
	return st, nil
}

// outbox is where messages to hooks lie if nothing else is said, or "".
func (f *storeFlags) outbox() string {
	if f.bucket != "" {
		return ""
	}
	return filepath.Join(f.at, filestore.StateDir, "hooks")
}
