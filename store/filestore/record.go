package filestore

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

// A log is lines of "SUM VERB ARGUMENTS", where SUM is the CRC-32C of the rest
// of the line in eight hexadecimal digits. It is read up to the first line that
// is torn or wrong; what follows was never acknowledged.
//
//	upload 1 CREATED LENGTH UNIT BOOT NAME KEY VALUE KEY VALUE …
//	noreplace
//	length LENGTH
//	written START END CRC
//	rewrite START END
//	synced
//	finishing CRC
//
// Strings are quoted as in Go, so that bytes that are no UTF-8 survive. CREATED
// is in nanoseconds since 1970, CRC is - where it isn't known.
const (
	// verbUpload begins a log.
	verbUpload = "upload"
	// verbNoReplace: the finished file replaces no other.
	verbNoReplace = "noreplace"
	// verbLength declares the length.
	verbLength = "length"
	// verbWritten: these bytes are in the file.
	verbWritten = "written"
	// verbRewrite: bytes in this range, written before, are about to change, so
	// that their recorded sums don't hold any more.
	verbRewrite = "rewrite"
	// verbSynced: all ranges so far survive power loss.
	verbSynced = "synced"
	// verbFinishing: all bytes are there and checked, and on their way to the disk
	// with this record. From here on a missing part is a finished file.
	verbFinishing = "finishing"
)

// maxRecordBytes bounds a line, and with it what one takes to read.
const maxRecordBytes = 32 << 10

// A record is one line of a log; each verb uses some of the fields.
type record struct {
	verb     string
	created  time.Time
	length   int64
	unit     int64
	boot     string
	name     string
	metadata map[string]string
	span     span
}

func (r *record) encode() []byte {
	line := append(make([]byte, sumBytes, 64), r.verb...)
	number := func(n int64) { line = strconv.AppendInt(append(line, ' '), n, 10) }
	quoted := func(s string) { line = strconv.AppendQuoteToASCII(append(line, ' '), s) }
	switch r.verb {
	case verbUpload:
		line = append(line, " 1"...)
		number(r.created.UnixNano())
		number(r.length)
		number(r.unit)
		quoted(r.boot)
		quoted(r.name)
		for _, key := range slices.Sorted(maps.Keys(r.metadata)) {
			quoted(key)
			quoted(r.metadata[key])
		}
	case verbLength:
		number(r.length)
	case verbWritten:
		number(r.span.start)
		number(r.span.end)
		line = appendSum(line, r.span.sum)
	case verbRewrite:
		number(r.span.start)
		number(r.span.end)
	case verbFinishing:
		line = appendSum(line, r.span.sum)
	}
	copy(line, append(appendCRC(nil, checksum.Update(0, line[sumBytes:])), ' '))
	return append(line, '\n')
}

// sumBytes is what the sum of a line and the space behind it take.
const sumBytes = 9

func appendSum(line []byte, sum store.Sum) []byte {
	if !sum.Known {
		return append(line, " -"...)
	}
	return appendCRC(append(line, ' '), sum.CRC32C)
}

func appendCRC(line []byte, crc uint32) []byte {
	var sum [4]byte
	binary.BigEndian.PutUint32(sum[:], crc)
	return hex.AppendEncode(line, sum[:])
}

var errRecord = errors.New("not a record of an upload's log")

// parseRecord reads a line without its newline.
func parseRecord(line []byte) (record, error) {
	sum, rest, ok := bytes.Cut(line, []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !ok || err != nil || len(sum) != 8 || uint32(want) != checksum.Update(0, rest) {
		return record{}, errRecord
	}
	fields := scanner{rest: string(rest)}
	r := record{verb: fields.word()}
	switch r.verb {
	case verbUpload:
		if fields.word() != "1" {
			return record{}, fmt.Errorf("%w that this version knows", errRecord)
		}
		r.created = time.Unix(0, fields.number())
		r.length, r.unit = fields.number(), fields.number()
		r.boot, r.name = fields.quoted(), fields.quoted()
		for fields.more() {
			if r.metadata == nil {
				r.metadata = make(map[string]string)
			}
			key := fields.quoted()
			r.metadata[key] = fields.quoted()
		}
		fields.check(r.length >= store.UnknownLength && r.unit >= 0)
	case verbLength:
		r.length = fields.number()
		fields.check(r.length >= 0)
	case verbWritten:
		r.span = span{start: fields.number(), end: fields.number(), sum: fields.sum()}
		fields.check(0 <= r.span.start && r.span.start < r.span.end)
	case verbRewrite:
		r.span = span{start: fields.number(), end: fields.number()}
		fields.check(0 <= r.span.start && r.span.start < r.span.end)
	case verbFinishing:
		r.span.sum = fields.sum()
	case verbNoReplace, verbSynced:
	default:
		return record{}, errRecord
	}
	fields.check(!fields.more())
	return r, fields.err
}

// A scanner takes fields off a record until the first error, which it keeps.
type scanner struct {
	rest string
	err  error
}

func (s *scanner) more() bool { return s.err == nil && s.rest != "" }

func (s *scanner) check(ok bool) {
	if !ok && s.err == nil {
		s.err = errRecord
	}
}

func (s *scanner) word() string {
	word, rest, _ := strings.Cut(s.rest, " ")
	s.rest = rest
	return word
}

func (s *scanner) number() int64 {
	n, err := strconv.ParseInt(s.word(), 10, 64)
	s.check(err == nil)
	return n
}

func (s *scanner) sum() store.Sum {
	word := s.word()
	if word == "-" {
		return store.Sum{}
	}
	n, err := strconv.ParseUint(word, 16, 32)
	s.check(err == nil && len(word) == 8)
	return store.Sum{CRC32C: uint32(n), Known: true}
}

func (s *scanner) quoted() string {
	prefix, err := strconv.QuotedPrefix(s.rest)
	s.check(err == nil)
	text, err := strconv.Unquote(prefix)
	s.check(err == nil)
	s.rest = strings.TrimPrefix(s.rest[len(prefix):], " ")
	return text
}
