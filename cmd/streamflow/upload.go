package main

import (
	"io/fs"
	"log/slog"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/internal/bytesize"
	"github.com/streamflow/streamflow/internal/transport"
	"github.com/streamflow/streamflow/memory/machine"
)

const (
	uploadLong = `Upload files to a directory, to a tus server or to an S3 bucket.

SOURCE is a file, a directory with all below it, a path with wildcards that the
shell left alone, or - for standard input. A directory keeps its name at the
destination; DIR/. doesn't. Where two of them have a file of one name, that of the
second is refused. DESTINATION is a directory (one that ends in / is made), a
file:// URL, the http:// or https:// URL of a tus server's uploads, or
s3://BUCKET/PREFIX. For S3 the variables and files of the AWS tools hold:
AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL, AWS_CA_BUNDLE and so on.

--compress and --encrypt-to change what is stored, and names say so: .gz, .zst,
.age. A tus server puts compressed bytes back, and a bucket keeps them under their
own name with a Content-Encoding. Where either was done, nothing can be resumed by
a later command: it starts anew.

The same command again resumes what was cut off, also after a crash. Standard
input can't be read again, so it can't be resumed by a later command.

Exit codes: 0 done, 1 error, 2 usage, 3 some files failed, 4 not found,
5 retries exhausted, 6 authentication, 7 integrity, 8 refused for memory or
quota, 130 interrupted.`

	uploadExample = `  streamflow upload disk.iso http://127.0.0.1:8080/files/
  streamflow upload --max-memory 64MiB a.iso b.iso /mnt/backup
  tar c photos | streamflow upload --name photos.tar - https://example.com/files/
  streamflow upload --exclude '*.tmp' --exclude cache/ photos /mnt/backup
  streamflow upload --encrypt-to age1... --compress=zstd dump.sql s3://backups
  streamflow upload --s3-region eu-central-1 disk.iso s3://backups/images
  streamflow upload --json disk.iso /mnt/backup | jq .`
)

type uploadFlags struct {
	destination destinationFlags
	memory      memoryFlags
	chunkBytes  size
	streams     count
	retries     int
	limitRate   byteRate
	checksum    bool
	concurrency count
	resume      bool
	name        string
	filter      filter
	noClobber   bool
	identical   bool
	encode      encodeFlags
	object      s3ObjectFlags
	dryRun      bool
	progress    choice
	json        bool
	logLevel    logLevel
}

func newUploadCommand() *cobra.Command {
	var f uploadFlags
	cmd := &cobra.Command{
		Use:     "upload [flags] SOURCE... DESTINATION",
		Short:   "Upload files or standard input",
		Long:    uploadLong,
		Example: uploadExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef(cmd, "want at least one SOURCE, and a DESTINATION")
			}
			return nil
		},
		RunE:                  func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
		DisableFlagsInUseLine: true,
	}
	addFlags(cmd, f.group(), f.destination.group(), f.destination.s3.group(), f.object.group(), f.memory.group(), f.outputGroup())
	return cmd
}

func (f *uploadFlags) group() flagGroup {
	f.chunkBytes = streamflow.DefaultChunkBytes
	g := newFlagGroup("Upload")
	g.flags.Var(&f.chunkBytes, "chunk-size", "what of a stream is held until acknowledged, and what a file is cut into")
	g.flags.Var(&f.streams, "streams", "chunks under way in one upload; auto: 3, of a pipe to S3 2 larger ones")
	g.flags.Var(&f.concurrency, "concurrency", "files at once; auto: as many as the budget has room for, 4 to 96, or to 256 where answers take long")
	g.flags.IntVar(&f.retries, "retries", streamflow.DefaultRetries, "failures in a row, spread over 45 s or more, that end an upload; 0 ends it at the first")
	g.flags.Var(&f.limitRate, "limit-rate", "send no faster than that in all, as 10MiB/s; 0: as fast as it goes")
	g.flags.BoolVar(&f.checksum, "checksum", true, "compute CRC-32C on the way and have it compared")
	g.flags.BoolVar(&f.resume, "resume", true, "go on where an earlier upload of the same file stopped")
	g.flags.VarPF(negation{&f.resume}, "no-resume", "", "start anew, and discard what an earlier upload left").NoOptDefVal = "true"
	g.flags.Lookup("no-resume").Annotations = map[string][]string{insteadOf: {"resume"}}
	g.flags.StringVar(&f.name, "name", "", `name at the destination, for a single SOURCE (default its own; "stdin" for -)`)
	g.flags.StringArrayVar(&f.filter.include, "include", nil, "of a directory upload only files that match `PATTERN`; may be repeated")
	g.flags.StringArrayVar(&f.filter.exclude, "exclude", nil, "leave out what matches `PATTERN`: *.tmp, cache/ or a/**/b.txt; may be repeated")
	g.flags.BoolVar(&f.filter.followLinks, "follow-links", false, "in a directory, take symbolic links for what they lead to")
	g.flags.BoolVar(&f.noClobber, "no-clobber", false, "leave alone what has the name at the destination already")
	g.flags.BoolVar(&f.identical, "skip-identical", false, "don't send what is there already with the same size and checksum")
	f.encode.add(g.flags)
	g.flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be uploaded, and upload nothing")
	return g
}

func (f *uploadFlags) outputGroup() flagGroup {
	f.progress = choice{of: []string{"auto", "plain", "json", "none"}, chosen: "auto"}
	f.logLevel.Level = slog.LevelWarn
	g := newFlagGroup("Output")
	g.flags.Var(&f.progress, "progress", "how to show progress; auto: bars on a terminal, else plain")
	g.flags.BoolVar(&f.json, "json", false, "the same as --progress json: JSON Lines on standard output")
	g.flags.Var(&f.logLevel, "log-level", "least level that is logged to standard error")
	return g
}

func (f *uploadFlags) check(cmd *cobra.Command, sources int) error {
	switch {
	case f.chunkBytes < streamflow.MinChunkBytes:
		return usagef(cmd, "--chunk-size %s: want %s or more", &f.chunkBytes, bytesize.Format(streamflow.MinChunkBytes))
	case f.streams > streamflow.MaxStreams:
		return usagef(cmd, "--streams %s: want %d at most", &f.streams, streamflow.MaxStreams)
	case f.limitRate < 0:
		return usagef(cmd, "--limit-rate %s: want 0 or more", &f.limitRate)
	case f.retries < 0:
		return usagef(cmd, "--retries %d: want 0 or more", f.retries)
	case f.name != "" && sources > 1:
		return usagef(cmd, "--name %s: there are %d sources to name so", f.name, sources)
	case f.name != "" && (!fs.ValidPath(f.name) || f.name == "."):
		return usagef(cmd, "--name %q: want a relative path without . and .. elements", f.name)
	}
	return nil
}

func (f *uploadFlags) run(cmd *cobra.Command, args []string) error {
	last := len(args) - 1
	if err := f.check(cmd, last); err != nil {
		return err
	}
	dst, err := parseTarget(cmd, args[last])
	if err != nil {
		return err
	}
	all, err := parseSources(cmd, args[:last], f.name, dst, f.filter)
	if err != nil {
		return err
	}
	if f.identical && dst.url != "" {
		return usagef(cmd, "--skip-identical: a tus server doesn't say what it has by name")
	}
	if f.object.given() && dst.bucket == "" {
		return usagef(cmd, "destination %s: content types, tags and the like are for objects in s3://", transport.ShownText(args[last]))
	}
	f.destination.s3.objects = f.object.options()
	encoding, err := f.encode.encoding(cmd, dst)
	if err != nil {
		return err
	}
	if f.identical && len(encoding.encoders) > 0 {
		return usagef(cmd, "--skip-identical: with --encrypt-to or --compress what is stored isn't the file's bytes")
	}
	all.extension, all.renamed, all.openEnded = encoding.extension, len(encoding.encoders) > 0, encoding.openEnded
	if err := all.overlap(cmd, dst); err != nil {
		return err
	}
	if f.dryRun {
		return dryRun(cmd.Context(), f.plan(cmd.OutOrStdout()), &console{w: cmd.ErrOrStderr()}, all, dst)
	}
	return f.upload(cmd, all, dst, encoding)
}

func (f *uploadFlags) upload(cmd *cobra.Command, all sources, dst destination, e encoding) (err error) {
	opts := f.options(e)
	if dst.bucket != "" && all.isPipe() {
		f.widen(cmd.Flags(), &opts)
	}
	s, err := f.destination.open(cmd, dst, &f.memory, f.logLevel, opts)
	if err != nil {
		return err
	}
	defer closing(&err, s)
	defer cleanUpOnSignal(s.process.Manager(), s.console)()
	u := &uploader{
		manager:  s.manager,
		process:  s.process,
		console:  s.console,
		progress: f.newProgress(cmd.OutOrStdout(), s.console, s.process.Manager(), all),
		crew:     newCrew(f.concurrency, s.process.Manager().Limit()),
	}
	if err := u.run(cmd.Context(), all); err != nil {
		printError(s.console, err)
		return printedError{err}
	}
	return nil
}

// A pipe to a bucket goes in wideStreams chunks of wideBytes: they take what three of the
// smallest would, keep a connection as busy, and make a third fewer requests.
const (
	wideBytes   = 15 << 19
	wideStreams = 2
)

// widen sets the chunks of a pipe to a bucket, where no flag does, if they take no more
// than a quarter of the budget.
func (f *uploadFlags) widen(given *pflag.FlagSet, opts *streamflow.Options) {
	if given.Changed("chunk-size") || given.Changed("streams") {
		return
	}
	budget, err := f.memory.max.resolve(machine.Limit)
	if err == nil && budget/4 >= wideStreams*wideBytes { // an error comes up again when it is opened
		opts.ChunkBytes, opts.Streams = wideBytes, wideStreams
	}
}

func (f *uploadFlags) options(e encoding) streamflow.Options {
	retries := f.retries
	if retries == 0 {
		retries = -1 // where 0 is the default
	}
	return streamflow.Options{
		ChunkBytes:      int64(f.chunkBytes),
		Streams:         int(f.streams),
		Retries:         retries,
		RateLimit:       int64(f.limitRate),
		DisableChecksum: !f.checksum,
		NoResume:        !f.resume,
		Terms:           f.object.terms(),
		NoReplace:       f.noClobber,
		SkipIdentical:   f.identical,
		Compression:     e.onTheWay,
		Encoders:        e.encoders,
	}
}
