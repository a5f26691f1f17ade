package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/streamflow/streamflow/memory"
)

// A wire notes the sizes of what is written to it.
type wire struct {
	net.Conn
	mu     sync.Mutex
	writes []int
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.writes = append(w.writes, len(p))
	w.mu.Unlock()
	return w.Conn.Write(p)
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.writes)
}

// secured returns both ends of a connection with TLS, and the wire below the first.
func secured(t *testing.T, mem *memory.Manager, version uint16) (*conn, *tls.Conn, *wire) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	certificate := s.TLS.Certificates[0]
	s.Close()
	near, far := net.Pipe()
	w := &wire{Conn: near}
	below := &batch{Conn: w}
	client := tls.Client(below, &tls.Config{
		InsecureSkipVerify: true, MinVersion: version, MaxVersion: version, DynamicRecordSizingDisabled: true,
	})
	server := tls.Server(far, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: version})
	t.Cleanup(func() { _ = errors.Join(near.Close(), far.Close()) })
	var greeting sync.WaitGroup
	greeting.Go(func() { _ = server.Handshake() })
	err := client.Handshake()
	greeting.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return &conn{client, below, mem}, server, w
}

func TestBatch(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []int // bytes, in the order in which a body writes them
		budget int64
		writes int
	}{
		"four records":             {[]int{4 * recordBytes}, 1 << 20, 1},
		"eight records":            {[]int{8 * recordBytes}, 1 << 20, 2},
		"three and a half":         {[]int{3*recordBytes + 100}, 1 << 20, 2},
		"less than one":            {[]int{100}, 1 << 20, 1},
		"several pieces":           {[]int{100, 2 * recordBytes, recordBytes, 5*recordBytes + 1}, 1 << 20, 1 + 1 + 1 + 3},
		"no memory to spare":       {[]int{4 * recordBytes}, 64 << 10, 4},
		"a second body after that": {[]int{4 * recordBytes, 4 * recordBytes}, 1 << 20, 2},
	} {
		for version, number := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
			t.Run(name+" over TLS "+version, func(t *testing.T) {
				mem, err := memory.New(&memory.Options{Limit: c.budget})
				if err != nil {
					t.Fatal(err)
				}
				client, server, w := secured(t, mem, number)
				var want []byte
				for i, n := range c.pieces {
					want = append(want, bytes.Repeat([]byte{byte(i + 1)}, n)...)
				}
				var (
					got       []byte
					receiving sync.WaitGroup
				)
				receiving.Go(func() {
					got = make([]byte, len(want))
					_, err = io.ReadFull(server, got)
				})
				before := w.count()
				n, sent := client.ReadFrom(&io.LimitedReader{R: piecewise{want, c.pieces}, N: int64(len(want))})
				receiving.Wait()
				if n != int64(len(want)) || errors.Join(sent, err) != nil || !bytes.Equal(got, want) {
					t.Errorf("%d of %d bytes are sent, and equal: %v; %v, %v", n, len(want), bytes.Equal(got, want), sent, err)
				}
				if got := w.count() - before; got != c.writes {
					t.Errorf("%d writes, want %d: %v", got, c.writes, w.writes[before:])
				}
				if err := mem.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A piecewise body writes itself in pieces.
type piecewise struct {
	content []byte
	pieces  []int
}

func (p piecewise) Read([]byte) (int, error) { return 0, errors.New("it writes itself") }

func (p piecewise) WriteTo(w io.Writer) (int64, error) {
	written := 0
	for _, n := range p.pieces {
		n, err := w.Write(p.content[written : written+n])
		written += n
		if err != nil {
			return int64(written), err
		}
	}
	return int64(written), nil
}

// What is written when no body is under way doesn't pass through memory that was
// given back.
func TestBatchGivesItsBufferBack(t *testing.T) {
	mem, err := memory.New(&memory.Options{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	client, server, w := secured(t, mem, tls.VersionTLS13)
	var receiving sync.WaitGroup
	receiving.Go(func() { _, _ = io.CopyN(io.Discard, server, 8*recordBytes) })
	content := make([]byte, 4*recordBytes)
	_, err = client.ReadFrom(&io.LimitedReader{R: bytes.NewReader(content), N: int64(len(content))})
	before := w.count()
	_, after := client.Write(content)
	receiving.Wait()
	if err := errors.Join(err, after); err != nil {
		t.Error(err)
	}
	if got := w.count() - before; got != 4 {
		t.Errorf("%d writes, want one for each of 4 records", got)
	}
}

// What TLS writes of itself while bodies are written passes between their records.
func TestBatchLetsOthersWrite(t *testing.T) {
	mem, err := memory.New(&memory.Options{Limit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	client, server, _ := secured(t, mem, tls.VersionTLS13)
	content := bytes.Repeat([]byte("streamflow"), 100_000)
	var (
		sending sync.WaitGroup
		sent    error
	)
	sending.Go(func() {
		for range 20 {
			_, err := client.ReadFrom(&io.LimitedReader{R: bytes.NewReader(content), N: int64(len(content))})
			sent = errors.Join(sent, err)
		}
	})
	sending.Go(func() {
		// A Write is all that a goroutine beside the first can be made to do with the
		// connection of TLS by itself, without the conn that announces it.
		for range 100 {
			if _, err := client.Conn.Write([]byte{0}); err != nil {
				t.Error(err)
			}
		}
	})
	got := make([]byte, 20*len(content)+100)
	if _, err := io.ReadFull(server, got); err != nil {
		t.Error(err)
	}
	sending.Wait()
	got = slices.DeleteFunc(got, func(b byte) bool { return b == 0 })
	if sent != nil || !bytes.Equal(got, bytes.Repeat(content, 20)) {
		t.Errorf("%d bytes have come, or others than were sent: %v", len(got), sent)
	}
}

// Close ends a body that the other side doesn't take, and its memory is free.
func TestBatchIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, err := memory.New(&memory.Options{Limit: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		client, _, _ := secured(t, mem, tls.VersionTLS13)
		var (
			sending sync.WaitGroup
			sent    error
		)
		sending.Go(func() {
			_, sent = client.ReadFrom(&io.LimitedReader{R: bytes.NewReader(make([]byte, 1<<20)), N: 1 << 20})
		})
		synctest.Wait()
		if mem.Stats().Active == 0 {
			t.Fatal("no body is under way")
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		sending.Wait()
		if sent == nil {
			t.Error("a body that nobody took is sent")
		}
		if err := mem.Close(); err != nil {
			t.Error(err)
		}
	})
}
