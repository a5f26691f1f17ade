// Package store says what a destination of uploads must do, and nothing about
// how: a directory, an S3 bucket and a tus server are all a [Store].
//
// Use it to write a destination of your own; run storetest.Run on it before
// you trust it. Programs that only upload need the interfaces as argument
// types and the errors of this package to branch on.
//
// # Promises
//
// Every Store keeps these, and storetest checks them:
//
//   - Acknowledged bytes stay. What [Upload.Write] reports as written and what
//     [Info] reports as present survives the death of this process. Surviving
//     a power loss is promised for finished uploads only, unless a store's own
//     options say more.
//   - An offset is never reported beyond what would survive.
//   - A failed call changes nothing but the bytes it reports as written.
//   - Finish is atomic: before it the object is not there under its final
//     name, after it the object is there whole. It may be called again after
//     an error or a crash and then succeeds without doing anything twice.
//   - Abort is idempotent, and leaves nothing behind.
//
// What a store may do besides is a [Concatenator], a [Putter], a [Lister], a
// [Finder], a [Reader], a [Cleaner]; what its uploads may, a [Verifier], a
// [Compressor]. Who uses one asks whether the store is one, and does without
// elsewhere.
//
// # Concurrency
//
// A Store is safe for concurrent use. The calls of one Upload may be made from
// several goroutines: Write for ranges that don't overlap where
// [Limits.Unordered] is set, one Write at a time elsewhere. Opening an upload
// takes it over: Writes under way through an Upload that was opened earlier
// end with [ErrSuperseded], and so does every later one. A store that can't
// tell who writes, such as a tus server, at least takes no byte at a wrong
// offset.
package store

import (
	"context"
	"io"
	"time"
)

// A Store is a destination of uploads.
type Store interface {
	// Limits returns what this store can take. It is constant and does no I/O.
	Limits() Limits

	// Create begins an upload with no bytes in it. The Info is what the store
	// can tell of it without being asked again.
	//
	// Errors: [ErrTooLarge], [ErrRefused], [ErrInvalid] for a name or metadata the
	// store can't keep, [ErrTaken] where there is an upload with Spec.ID, finished or
	// not, [ErrDenied], [ErrUnsupported].
	Create(ctx context.Context, spec Spec) (Upload, Info, error)

	// Open takes over the upload with the given id, finished or not. The Info
	// is that of the moment of the takeover: where to go on.
	//
	// Errors: [ErrNotFound], [ErrGone].
	Open(ctx context.Context, id string) (Upload, Info, error)

	// Stat reports on an upload without taking it over.
	//
	// Errors: as Open.
	Stat(ctx context.Context, id string) (Info, error)
}

// An Upload is one object on its way into a Store. It holds no descriptors and
// no memory between calls, so it need not be closed and may simply be dropped;
// [Store.Open] finds it again.
type Upload interface {
	// Info asks the store, not a cache, what is there now.
	Info(ctx context.Context) (Info, error)

	// SetLength declares the length of an upload created with UnknownLength.
	// Declaring the same length again is fine; another one is [ErrInvalid].
	SetLength(ctx context.Context, length int64) error

	// Write stores the unit that begins at off: size bytes of r, or all of r
	// where size is [UnknownLength]. It returns how many bytes from off are
	// acknowledged, also beside an error. An unordered store may keep a part of
	// a unit that failed, but the whole unit is written again all the same.
	//
	// An ordered store takes only off == Info.Offset and answers anything else
	// with an *[OffsetError]. Writing a range again is allowed in an unordered
	// store and replaces it.
	//
	// Write doesn't read r after it has returned. r ending early is
	// io.ErrUnexpectedEOF; an error of r, also one that wraps io.EOF, comes back as
	// it is, wrapped. r may be a [Summer] and a [Lender].
	//
	// Errors: *[OffsetError], [ErrTooLarge], [ErrNoSpace], [ErrNotFound],
	// [ErrSuperseded], [ErrDenied]; a *[TransientError] is worth a retry.
	Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error)

	// Finish makes the object appear, whole, under its name. The length must be
	// known and every byte present. Where sum is known and the store knows one
	// too, they must agree, else [ErrChecksum], and the object doesn't appear.
	Finish(ctx context.Context, sum Sum) (Info, error)

	// Abort discards the upload and all its bytes.
	Abort(ctx context.Context) error
}

// UnknownLength stands for a length that isn't known yet.
const UnknownLength = -1

// Metadata keys with a meaning that clients, servers and stores agree on.
const (
	MetadataFilename = "filename" // as [Spec].Name
	MetadataFiletype = "filetype" // a media type
)

// A Spec describes an upload to create.
type Spec struct {
	// ID of the upload, 32 hexadecimal digits in lower case, or "" to have the store
	// make one. Only where [Limits].ChosenIDs is set, and for a [Putter].
	ID string
	// Name is the object's name: a slash-separated relative path. A store that
	// names objects itself keeps it as metadata.
	Name string
	// Length in bytes, or UnknownLength.
	Length int64
	// UnitBytes is the size of every unit but the last, where the store is
	// unordered. The store may depend on Write offsets being multiples of it.
	UnitBytes int64
	// Metadata is kept with the object as far as the store can.
	Metadata map[string]string
	// ContentCoding says by its registered name (RFC 9110, section 8.4.1) how the
	// bytes are encoded, or is empty. Only where [Limits].ContentCoding is set.
	ContentCoding string
	// Head is how the object begins, at most 512 bytes, before it was given a content
	// coding; or nil where that isn't known. A store that keeps media types may tell
	// one by it, and must not keep the slice. Only where [Limits].ContentCoding is set.
	Head []byte
	// NoReplace has the object only appear where there is none of its name: Finish
	// is [ErrExists] then, also Create where the store knows already. Nothing comes
	// between the look and the object. A store that names objects itself replaces
	// none anyway.
	NoReplace bool
	// Readable: a [Reader] must be able to read the upload, and a [Concatenator] to
	// take its bytes, before it is finished. Where it isn't set, a store may answer
	// [ErrUnsupported] then, and need not copy the bytes in the end.
	Readable bool
}

// Limits says what a Store can take. A zero number means there is no limit.
type Limits struct {
	// Unordered: units may be written in any order and at the same time.
	Unordered bool
	// ChosenIDs: an upload may be created under an id of the caller's choice.
	ChosenIDs bool
	// Verified: every Upload is a [Verifier].
	Verified bool
	// Compressed: every Upload is a [Compressor].
	Compressed bool
	// ContentCoding: objects keep a content coding and a media type, and tell them to
	// who reads them.
	ContentCoding bool
	// MinUnitBytes and MaxUnitBytes bound a unit, but the last may be smaller.
	MinUnitBytes, MaxUnitBytes int64
	// MaxUnits bounds the number of units of one upload of known length.
	MaxUnits int
	// MaxLength bounds an object.
	MaxLength int64
}

// A Range is the bytes from Start up to, not including, End.
type Range struct{ Start, End int64 }

// Info is what a store knows about an upload.
type Info struct {
	ID     string
	Name   string
	Length int64 // or UnknownLength
	// Offset is the number of bytes present without a gap from the start.
	Offset int64
	// Written are all ranges present, sorted, without overlap or adjacency.
	// It is nil where nothing but [0, Offset) is there.
	Written []Range
	// Complete: Finish has succeeded.
	Complete bool
	// Sum is of the bytes before Offset, where the store knows it.
	Sum       Sum
	UnitBytes int64
	Metadata  map[string]string
	CreatedAt time.Time
	// ModifiedAt is when the upload last got bytes, a length or its end, or the
	// zero time where the store can't tell.
	ModifiedAt time.Time
	// Location is where a person or program finds the finished object: a path or
	// a URL. Before Finish it is empty, or where all of its bytes lie.
	Location string
}

// A Sum is the CRC-32C (Castagnoli) of some bytes, where Known. It is the one
// checksum of the engine: it runs at memory speed, parts of it combine, and
// S3, RFC 9530 and tus all have a name for it.
type Sum struct {
	CRC32C uint32
	Known  bool
}

// A Summer is a reader that sums what is read of it, so that who reads it needn't.
type Summer interface {
	io.Reader
	// Sum is that of all that has been read. It is known from the beginning on, or
	// never.
	Sum() Sum
}

// A Lender is a reader of memory, which lends its bytes to who would copy them.
type Lender interface {
	io.Reader
	// Next returns the next n bytes, or as many as are left, which count as read then.
	// It is that of a [bytes.Buffer]. Nobody may change them, or use them after the
	// Write that r was given to.
	Next(n int) []byte
}
