package store

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Verifier is an Upload that can take a unit whole or not at all: one whose
// checksum is only known to be right once its last byte has come. The uploads
// of a store are Verifiers where [Limits].Verified says so.
//
// It isn't a Write and then a withdrawal, as acknowledged bytes stay. So the
// store must hear of the check before it acknowledges anything, and any store
// can meet that which decides itself which of its bytes count: a directory
// logs the unit only afterwards, and an S3 store records a unit's parts in the
// upload's state only afterwards.
type Verifier interface {
	// WriteVerified is Write, but no byte of the unit is acknowledged, or there
	// after a crash, before verify has returned nil. verify is called once, when
	// r has ended: after size bytes, or at io.EOF where size is UnknownLength.
	// Its error comes back wrapped. After any error nothing of the unit is there.
	//
	// A range of which bytes are there already is [ErrInvalid]: they could not be
	// brought back.
	WriteVerified(ctx context.Context, off int64, r io.Reader, size int64, verify func() error) (int64, error)
}

// Compression is how bytes are sent in fewer, as content codings of RFC 9110,
// section 8.4.1, are.
type Compression int

const (
	Uncompressed Compression = iota
	Gzip                     // RFC 1952
)

// A Compressor is an Upload that can send fewer bytes than it stores, because the
// other side puts them back. Offsets, lengths and sums are always those of the
// bytes as they are. The uploads of a store are Compressors where
// [Limits].Compressed says so.
type Compressor interface {
	// Compress has every later Write compress what it sends, as far as that saves
	// anything and there is memory for it. saved is told on the way how many bytes
	// fewer were sent than were read; below 0 where more were. No call of it comes
	// after its Write.
	//
	// Errors: [ErrUnsupported] where the other side doesn't take it: Writes go on
	// as they did.
	Compress(ctx context.Context, c Compression, saved func(bytes int64)) error
}

// A Concatenator is a Store that can put uploads together itself, without
// their bytes passing through this process's memory.
type Concatenator interface {
	// Concatenate creates an upload that has the bytes of others, one after the
	// other: to Finish it is the caller's. The others, named by id, are left as
	// they are. They may come more than once and need not be finished, but every
	// byte of them must be there and nobody may write to them meanwhile. The
	// length in spec doesn't count. After an error there is no new upload.
	//
	// Errors: as Create, [ErrNotFound], [ErrIncomplete], [ErrUnsupported] where one
	// isn't finished and wasn't created Readable.
	Concatenate(ctx context.Context, spec Spec, ids []string) (Upload, Info, error)
}

// A Putter is a Store that takes an object in one step, which for a small one is
// all there is to it.
type Putter interface {
	// Put makes an object of the spec.Length bytes of r, which must be known, in one
	// step: it is there under its name with all of them, or nothing has changed. No
	// upload is left behind, so the Info has no ID. Where sum is known the bytes must
	// have it, else nothing changes, and the error is a *[TransientError] that is
	// [ErrChecksum].
	//
	// After an error nobody may know whether the object is there. The same spec.ID,
	// random as that of an upload, has a repeated Put find the object of the first
	// where spec.NoReplace is set.
	//
	// r is used as in Write. Errors: as Create, Write and Finish.
	Put(ctx context.Context, spec Spec, r io.Reader, sum Sum) (Info, error)
}

// A Lister is a Store that can say which uploads are in it.
//
// Both walks take a time, and may leave out what has changed since, by the store's
// clock, but nothing else: who wants what is old needn't have the rest read. A store
// that saves nothing by it leaves out nothing, and with the zero time none does.
type Lister interface {
	// Unfinished yields every upload that is there from the beginning to the end
	// of the walk and isn't finished, in no order. An upload that can't be read
	// is yielded as an error, with its ID in the Info, and the walk goes on; an
	// error without an ID ends it. Where a list knows less of an upload than
	// Create did, the ID is the beginning of Create's, up to its first dot.
	Unfinished(ctx context.Context, before time.Time) iter.Seq2[Info, error]

	// Finished yields, in the same way, the finished uploads that the store still
	// has: as it finished them, since what somebody else has put in place of an
	// upload isn't the store's. A store that forgets what is finished has none.
	Finished(ctx context.Context, before time.Time) iter.Seq2[Info, error]
}

// A Cleaner is a Store where a crash can leave bytes behind that belong to no
// upload.
type Cleaner interface {
	// RemoveOrphans removes those that are there since before that time, and so
	// aren't of a call under way. It returns how many there were, also beside an
	// error.
	RemoveOrphans(ctx context.Context, before time.Time) (int, error)
}

// A Finder is a Store that knows its objects by their names.
type Finder interface {
	// Find returns the finished object of that name: Name, Length and Location, and
	// where Length is length also its Sum, for which the store may have to read
	// it. It has no ID.
	//
	// Errors: [ErrNotFound], [ErrUnsupported] where the store is set up to name
	// objects itself.
	Find(ctx context.Context, name string, length int64) (Info, error)
}

// A Reader is a Store that can give back what was uploaded.
type Reader interface {
	// OpenReader opens an upload of which every byte is there, finished or not,
	// for reading its Info.Length bytes from any place. It doesn't take the upload
	// over. Many may read at once, each with a reader of its own, which one
	// goroutine uses at a time and closes.
	//
	// Of an unfinished upload the bytes are only certain as long as nobody
	// writes to it. One that is discarded meanwhile is read to its end as it was,
	// or reading fails with [ErrNotFound] or [ErrGone]; it never gives other
	// bytes. Finishing it changes nothing for those who read.
	//
	// Errors: as Open, [ErrIncomplete], [ErrUnsupported] where it isn't finished and
	// wasn't created Readable.
	OpenReader(ctx context.Context, id string) (io.ReadSeekCloser, Info, error)
}
