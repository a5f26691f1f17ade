package transport

import (
	"net"

	"github.com/streamflow/streamflow/memory"
)

const (
	recordBytes    = 16 << 10  // of content in a full record: RFC 8446, section 5.1
	maxRecordBytes = 5 + 16640 // as it is sent: the same, section 5.2; crypto/tls makes none longer of TLS 1.2
	batchBytes     = 80 << 10  // the least that holds four of them, in steps of 16 KiB
)

// A batch is the connection below one of TLS 1.2 or later. crypto/tls makes a system
// call for each record; a batch that has a buffer gathers full records in it, and
// sends them together.
//
// All that one Write of TLS makes is sent when that returns. So Close of TLS, which
// cuts a connection where a Write is under way, ends what is blocked here as well; and
// what the reading side of TLS sends on its own finds nothing gathered before it.
// Those are alerts and updates of keys, which are small, so that they touch neither
// gathered nor coming: these are for the goroutine that writes bodies. There must be
// no renegotiation, whose messages may be large.
//
// It counts on all records of a Write but the last being full, and so on
// DynamicRecordSizingDisabled.
type batch struct {
	net.Conn
	gathered []byte // empty between two Writes of TLS; no capacity without a buffer
	coming   int    // full records that the present Write of TLS has still to make
}

// lend gives the batch a buffer, where it can be spared, until giveBack.
func (b *batch) lend(mem *memory.Manager) (giveBack func() error) {
	buffer, err := mem.AcquireSpare(memory.KindTransfer, batchBytes, batchBytes)
	if err != nil {
		return func() error { return nil }
	}
	b.gathered = buffer.Bytes()[:0]
	return func() error {
		b.gathered = nil
		return buffer.Release()
	}
}

// expect announces a Write of n bytes to TLS, which has to be the next.
func (b *batch) expect(n int) {
	b.coming = n / recordBytes
}

// Write is for TLS: p is a record, or what a handshake consists of.
func (b *batch) Write(p []byte) (int, error) {
	if len(p) < recordBytes || cap(b.gathered) == 0 {
		return b.Conn.Write(p)
	}
	b.coming--
	b.gathered = append(b.gathered, p...)
	if b.coming > 0 && cap(b.gathered)-len(b.gathered) >= maxRecordBytes {
		return len(p), nil
	}
	_, err := b.Conn.Write(b.gathered)
	b.gathered = b.gathered[:0]
	if err != nil {
		return 0, err
	}
	return len(p), nil
}
