package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/internal/tree"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

const (
	listLong = `List what is at a destination.

That is what is whole, each line with size and name: the files of a directory, or
the objects of a bucket. A tus server doesn't tell.

With --incomplete these are the unfinished uploads: those that this machine has
begun, and where the destination can list them, all others. Each line has id,
bytes there of bytes in all, when it last got any, and where it comes from.`

	listExample = `  streamflow list /mnt/backup
  streamflow list s3://backups/images
  streamflow list --incomplete https://example.com/files/
  streamflow list --incomplete --json /mnt/backup | jq -r .id`
)

type listFlags struct {
	destination destinationFlags
	memory      memoryFlags
	incomplete  bool
	json        bool
}

func newListCommand() *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:                   "list [flags] DESTINATION",
		Short:                 "List files or unfinished uploads at a destination",
		Long:                  listLong,
		Example:               listExample,
		Args:                  one("DESTINATION"),
		RunE:                  func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
		DisableFlagsInUseLine: true,
	}
	g := newFlagGroup("List")
	g.flags.BoolVar(&f.incomplete, "incomplete", false, "list unfinished uploads instead of what is whole")
	g.flags.BoolVar(&f.json, "json", false, "JSON Lines")
	addFlags(cmd, g, f.destination.group(), f.destination.s3.group(), f.memory.group())
	return cmd
}

func (f *listFlags) run(cmd *cobra.Command, at string) (err error) {
	dst, err := parseExisting(cmd, at)
	if err != nil {
		return err
	}
	out := listing{w: cmd.OutOrStdout(), json: f.json}
	switch {
	case f.incomplete:
	case dst.directory():
		return listFiles(cmd.Context(), dst.name, out, cmd.ErrOrStderr())
	case dst.bucket == "":
		return usagef(cmd, "destination %s: a tus server doesn't say what is whole; --incomplete lists what isn't", dst)
	}
	s, err := f.destination.open(cmd, dst, &f.memory, logLevel{slog.LevelWarn}, streamflow.Options{})
	if err != nil {
		return err
	}
	defer closing(&err, s)
	if !f.incomplete {
		return listObjects(cmd.Context(), s.store, out)
	}
	for u, err := range s.unfinished(cmd.Context()) {
		if cmd.Context().Err() != nil { // u.Err may be of that
			return context.Cause(cmd.Context())
		}
		if err != nil {
			return fmt.Errorf("list %s: %w", dst, err)
		}
		if err := out.upload(u); err != nil {
			return err
		}
	}
	return nil
}

// unfinished yields what the journal knows, then what only the destination does.
func (s *session) unfinished(ctx context.Context) iter.Seq2[streamflow.Unfinished, error] {
	return func(yield func(streamflow.Unfinished, error) bool) {
		known := make(map[string]bool)
		for u, err := range s.manager.Unfinished(ctx) {
			if !yield(u, err) {
				return
			}
			known[listedID(u.Info.ID)] = true
		}
		lister, ok := s.store.(store.Lister)
		if !ok {
			return
		}
		for info, err := range lister.Unfinished(ctx, time.Time{}) {
			if known[listedID(info.ID)] {
				continue
			}
			u := streamflow.Unfinished{Info: info}
			if info.ID != "" {
				u.Err, err = err, nil
			}
			if !yield(u, err) {
				return
			}
		}
	}
}

// listedID is what of an id a store.Lister knows at least.
func listedID(id string) string {
	listed, _, _ := strings.Cut(id, ".")
	return listed
}

// objectLister is a store that can say what is whole.
type objectLister interface {
	Objects(ctx context.Context) iter.Seq2[store.Info, error]
}

func listObjects(ctx context.Context, st store.Store, out listing) error {
	lister, ok := st.(objectLister)
	if !ok {
		return fmt.Errorf("%w: this destination doesn't list what is whole", store.ErrUnsupported)
	}
	for info, err := range lister.Objects(ctx) {
		if err != nil {
			return err
		}
		if err := out.file(info.Name, info.Length); err != nil {
			return err
		}
	}
	return nil
}

// listFiles lists a directory without what is unfinished. What can't be read is told
// on the console, and the rest is listed.
func listFiles(ctx context.Context, dir string, out listing, console io.Writer) error {
	finder, err := tree.New(tree.Options{Exclude: []string{"/" + filestore.StateDir + "/"}})
	if err != nil {
		return err
	}
	var failed tally
	for f, err := range finder.Tree(dir).Files() {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, tree.ErrSkipped):
			continue
		case err != nil:
			err = fmt.Errorf("list %s: %w", path.Join(dir, f.Name), err)
			printError(console, err)
			failed.add(err)
			continue
		}
		if err := out.file(f.Name, f.Size); err != nil {
			return err
		}
	}
	if failed.failed > 0 {
		return printedError{failed.first}
	}
	return nil
}

// A listing is what list prints.
type listing struct {
	w    io.Writer
	json bool
}

type fileLine struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

func (l listing) file(name string, size int64) error {
	if l.json {
		return json.NewEncoder(l.w).Encode(fileLine{name, size})
	}
	_, err := fmt.Fprintf(l.w, "%9s  %s\n", bytesize.Format(size), escapeControls(name))
	return err
}

type uploadLine struct {
	ID         string     `json:"id"`
	Name       string     `json:"name,omitempty"`
	Path       string     `json:"path,omitempty"` // of the source, on this machine
	Bytes      *int64     `json:"bytes"`
	TotalBytes *int64     `json:"total_bytes"`
	Modified   *time.Time `json:"modified,omitempty"`
	Error      string     `json:"error,omitempty"`
}

func (l listing) upload(u streamflow.Unfinished) error {
	if l.json {
		return json.NewEncoder(l.w).Encode(newUploadLine(u))
	}
	var stands string
	switch info := u.Info; {
	case errors.Is(u.Err, streamflow.ErrBusy):
		stands = "under way"
	case errors.Is(u.Err, store.ErrNotFound), errors.Is(u.Err, store.ErrGone):
		stands = "gone"
	case u.Err != nil:
		stands = u.Err.Error()
	case info.Length == store.UnknownLength:
		stands = bytesize.Format(info.Offset) + " of ?"
	default:
		stands = bytesize.Format(info.Offset) + " of " + bytesize.Format(info.Length)
	}
	when := "-"
	if at := u.Info.ModifiedAt; !at.IsZero() {
		when = at.Local().Format("2006-01-02 15:04:05")
	}
	from := u.Path
	if from == "" {
		from = u.Info.Name
	}
	_, err := fmt.Fprintf(l.w, "%s\t%s\t%s\t%s\n", u.Info.ID, escapeControls(stands), when, escapeControls(from))
	return err
}

func newUploadLine(u streamflow.Unfinished) uploadLine {
	line := uploadLine{ID: u.Info.ID, Name: u.Info.Name, Path: u.Path}
	if u.Err != nil {
		line.Error = u.Err.Error()
		return line
	}
	line.Bytes, line.TotalBytes = known(u.Info.Offset), known(u.Info.Length)
	if !u.Info.ModifiedAt.IsZero() {
		line.Modified = &u.Info.ModifiedAt
	}
	return line
}
