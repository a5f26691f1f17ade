// Package storetest checks a store against the promises of package store, and
// makes a store fail on purpose.
//
// Call [Run] from a test of every store:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) },
//			storetest.Options{Read: func(t *testing.T, info store.Info) []byte { return contents(t, info.Location) }})
//	}
//
// Wrap a store that works in [NewFaulty] to test what uses stores.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/streamflow/streamflow/store"
)

// Options say how a store differs from others, where the contract leaves it
// free to.
type Options struct {
	// Read returns the bytes of a finished object. It is required.
	Read func(t *testing.T, info store.Info) []byte
	// BadNames are what Create must refuse, with store.ErrInvalid.
	BadNames []string
	// Forgets: a finished upload can't be opened any more, as its id is gone.
	Forgets bool
	// DropsMetadata: the store can't keep metadata.
	DropsMetadata bool
	// Unlisted: a finished upload can be opened by its id, and isn't listed.
	Unlisted bool
}

// Run checks the store that open returns: each promise is a subtest on a store
// of its own. The units it writes are the store's smallest, or 96 KiB.
func Run(t *testing.T, open func(t *testing.T) store.Store, opts Options) {
	cases := []struct {
		name string
		run  func(s *suite)
	}{
		{"create", (*suite).createNew},
		{"create refuses nonsense", (*suite).createNonsense},
		{"chosen id", (*suite).chosenID},
		{"odd names", (*suite).oddNames},
		{"bad names", (*suite).badNames},
		{"metadata", (*suite).metadata},
		{"much metadata", (*suite).muchMetadata},
		{"unknown id", (*suite).unknownID},
		{"write and finish", (*suite).writeAndFinish},
		{"empty object", (*suite).emptyObject},
		{"write all of a reader", (*suite).writeAll},
		{"write leaves the rest of a reader", (*suite).writeLeavesRest},
		{"write leaves the rest of a lender", (*suite).writeLeavesRestOfLender},
		{"write beyond the length", (*suite).writeTooLong},
		{"write elsewhere", (*suite).writeElsewhere},
		{"write again", (*suite).writeAgain},
		{"parallel units", (*suite).parallelUnits},
		{"short reader", (*suite).shortReader},
		{"short lender", (*suite).shortLender},
		{"failing reader", (*suite).failingReader},
		{"cancelled write", (*suite).cancelledWrite},
		{"cancelled calls", (*suite).cancelledCalls},
		{"resume by open", (*suite).resume},
		{"stat does not take over", (*suite).statLeaves},
		{"takeover", (*suite).takeover},
		{"unknown length", (*suite).unknownLength},
		{"set length", (*suite).setLength},
		{"finish incomplete", (*suite).finishIncomplete},
		{"finish with a wrong sum", (*suite).finishWrongSum},
		{"finish without a sum", (*suite).finishWithoutSum},
		{"finish twice", (*suite).finishTwice},
		{"write after finish", (*suite).writeAfterFinish},
		{"abort", (*suite).abort},
		{"abort twice", (*suite).abortTwice},
		{"concurrent uploads", (*suite).concurrentUploads},
		{"verified unit", (*suite).verifiedUnit},
		{"unit that fails its check", (*suite).unverifiedUnit},
		{"unit that breaks off before its check", (*suite).unitWithoutCheck},
		{"verified unit over bytes that are there", (*suite).verifyAgain},
		{"compress", (*suite).compress},
		{"concatenate", (*suite).concatenate},
		{"concatenate what isn't whole", (*suite).concatenateParts},
		{"list", (*suite).lists},
		{"replace nothing", (*suite).noReplace},
		{"find", (*suite).find},
		{"put", (*suite).puts},
		{"put what is refused", (*suite).putsNothing},
		{"read", (*suite).read},
		{"read what isn't whole", (*suite).readUnfinished},
		{"read what changes meanwhile", (*suite).readMeanwhile},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{T: t, ctx: t.Context(), store: open(t), opts: opts}
			s.limits = s.store.Limits()
			s.unit = max(s.limits.MinUnitBytes, 96<<10)
			c.run(s)
		})
	}
}

// A suite is one subtest and the store it has to itself.
type suite struct {
	*testing.T
	ctx    context.Context
	store  store.Store
	limits store.Limits
	opts   Options
	unit   int64
}

// must fails the test on err.
func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// want fails the test unless err is target.
func (s *suite) want(err, target error) {
	s.Helper()
	if !errors.Is(err, target) {
		s.Fatalf("error is %v, want %v", err, target)
	}
}

// begin creates an upload of that length.
func (s *suite) begin(length int64) (store.Upload, store.Info) {
	s.Helper()
	return s.create(store.Spec{Name: "object.bin", Length: length, UnitBytes: s.unit})
}

// beginReadable creates one that can be read before it is finished.
func (s *suite) beginReadable(length int64) (store.Upload, store.Info) {
	s.Helper()
	return s.create(store.Spec{Name: "object.bin", Length: length, UnitBytes: s.unit, Readable: true})
}

func (s *suite) create(spec store.Spec) (store.Upload, store.Info) {
	s.Helper()
	u, info, err := s.store.Create(s.ctx, spec)
	s.must(err)
	return u, info
}

func (s *suite) info(u store.Upload) store.Info {
	s.Helper()
	info, err := u.Info(s.ctx)
	s.must(err)
	return info
}

// write writes content[from:to].
func (s *suite) write(u store.Upload, content []byte, from, to int64) {
	s.Helper()
	n, err := u.Write(s.ctx, from, bytes.NewReader(content[from:to]), to-from)
	s.must(err)
	if n != to-from {
		s.Fatalf("wrote %d bytes of %d", n, to-from)
	}
}

// holds fails the test unless the store has all of r.
func (s *suite) holds(info store.Info, r store.Range) {
	s.Helper()
	if r.Start == r.End || r.End <= info.Offset {
		return
	}
	for _, have := range info.Written {
		if have.Start <= r.Start && r.End <= have.End {
			return
		}
	}
	s.Fatalf("bytes %d to %d were acknowledged, and are not in offset %d and ranges %v", r.Start, r.End, info.Offset, info.Written)
}

// goOn writes what the store says is missing of content, as an engine would.
func (s *suite) goOn(u store.Upload, content []byte) {
	s.Helper()
	info, length := s.info(u), int64(len(content))
	if !s.limits.Unordered {
		if info.Offset < length {
			s.write(u, content, info.Offset, length)
		}
		return
	}
	for off := int64(0); off < length; off += s.unit {
		end := min(off+s.unit, length)
		if missing(info, store.Range{Start: off, End: end}) {
			s.write(u, content, off, end)
		}
	}
}

func missing(info store.Info, r store.Range) bool {
	if r.End <= info.Offset {
		return false
	}
	for _, have := range info.Written {
		if have.Start <= r.Start && r.End <= have.End {
			return false
		}
	}
	return true
}

// finish finishes the upload and compares the object with content.
func (s *suite) finish(u store.Upload, content []byte) store.Info {
	s.Helper()
	info, err := u.Finish(s.ctx, sum(content))
	s.must(err)
	s.finished(info, content)
	return info
}

func (s *suite) finished(info store.Info, content []byte) {
	s.Helper()
	if !info.Complete || info.Length != int64(len(content)) || info.Offset != info.Length || info.Written != nil {
		s.Fatalf("finished, but info is %+v", info)
	}
	if info.Sum.Known && info.Sum != sum(content) {
		s.Fatalf("sum is %08x, want %08x", info.Sum.CRC32C, sum(content).CRC32C)
	}
	s.compare(s.opts.Read(s.T, info), content)
}

func (s *suite) compare(got, want []byte) {
	s.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	s.Fatalf("object of %d bytes differs at %d from the %d bytes sent", len(got), at, len(want))
}

func sum(p []byte) store.Sum {
	return store.Sum{CRC32C: crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)), Known: true}
}

// content returns n bytes that no shift of themselves equals.
func content(n int64) []byte {
	p := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = random.Read(p)
	return p
}
